"""Haze and water of one pair: what of the scene comes through, and the light that veils it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import per_sample
from defusion.degradations.fields import gaussian_blur
from defusion.oracle.fitted import Fitted, Pair
from defusion.random import Generators, normal
from defusion.types import Image, Params

GRID = 12
"""Blocks along a side of the map of transmission."""
_PIXELS = 240
"""Pixels along a side at which the transmission is measured: blur and noise are averaged away."""
_ROUNDS = 60
_DOUBT = 1e-3
"""Variance of the clean picture about the veil at which a block is trusted as much as its neighbours."""
_LIKELY_VEIL = 0.7
_BLURS = torch.arange(0, 1.6, 0.1)
"""Standard deviations of the blur that are tried, in pixels."""


class Veil:
    """`y = x t + A(1 - t)`, after slight blur and before slight noise, t given by a map over the picture.

    Parameters: "transmission" (n, 3, GRID, GRID), t of each channel in blocks of relative place; "veil" (n, 3), A;
    "blur" (n,), standard deviation in pixels; "noise" (n,), standard deviation.
    """

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Veils the picture; see `Degradation.apply`."""
        picture = gaussian_blur(x.float(), params["blur"], radius=4)
        size = (x.shape[-2], x.shape[-1])
        t = F.interpolate(params["transmission"].to(x.device), size, mode="bilinear", align_corners=False)
        veil = per_sample(params["veil"], picture).expand_as(picture)
        noise = normal(len(x), x.shape[1:], generators, x.device) * per_sample(params["noise"], picture)
        return torch.lerp(veil, picture, t).add_(noise).clamp_(0, 1).to(x.dtype)


@dataclass(frozen=True)
class _Moments:
    """Means over each block of a picture, (3, GRID, GRID)."""

    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor


def fit_haze(pair: Pair) -> Fitted:
    """Koschmieder's law with one airlight for the picture and one transmission a block, the same for all channels."""
    transmission, veil = _koschmieder(_moments(pair), shared=True)
    none = torch.zeros(1)
    return Fitted("haze", Veil(), {"transmission": transmission, "veil": veil, "blur": none, "noise": none})


def fit_underwater(pair: Pair) -> Fitted:
    """Each channel's own transmission a block and veil, then the blur and the noise of what is left."""
    transmission, veil = _koschmieder(_moments(pair), shared=False)
    clear = {"transmission": transmission, "veil": veil, "noise": torch.zeros(1)}
    blur, residual = min(
        (_left(pair, clear | {"blur": sigma[None]}, sigma) for sigma in _BLURS),
        key=lambda found: float(found[1].square().mean()),
    )
    return Fitted("underwater", Veil(), clear | {"blur": blur[None], "noise": noise_level(residual)[None]})


def _left(pair: Pair, params: Params, blur: Tensor) -> tuple[Tensor, Tensor]:
    """A blur, and what it leaves unexplained."""
    return blur, pair.lq - Veil().apply(pair.hq, params, torch.Generator())


def noise_level(residual: Tensor) -> Tensor:
    """Standard deviation of the white noise in (1, 3, H, W), smooth parts left out: a scalar.

    The median of the second difference down and across (Immerkaer, "Fast noise variance estimation", 1996),
    which edges that are left over move little.
    """
    line = torch.tensor([1.0, -2.0, 1.0])
    mask = (line[:, None] * line).view(1, 1, 3, 3).repeat(3, 1, 1, 1) / 6
    return F.conv2d(residual, mask, groups=3).abs().median() / 0.6745


def _moments(pair: Pair) -> _Moments:
    size = [min(_PIXELS, length // 2) for length in pair.hq.shape[2:]]
    x, y = (F.interpolate(side, size, mode="area")[0] for side in (pair.hq, pair.lq))
    return _Moments(*(F.adaptive_avg_pool2d(value, GRID) for value in (x, y, x * x, x * y)))


def _koschmieder(blocks: _Moments, shared: bool) -> tuple[Tensor, Tensor]:
    """Transmission (1, 3, GRID, GRID) and veil (1, 3), each in turn by least squares given the other."""
    variance, covariance = blocks.xx - blocks.x**2, blocks.xy - blocks.x * blocks.y
    t = _regress(covariance, variance, shared)
    veil = _veil(blocks, t)
    for _ in range(_ROUNDS):
        a = veil[:, None, None]
        about = blocks.xx - 2 * a * blocks.x + a**2
        together = blocks.xy - a * (blocks.x + blocks.y) + a**2
        t = _regress(together, about, shared)
        veil = _veil(blocks, t)
    return t[None], veil[None]


def _regress(together: Tensor, about: Tensor, shared: bool) -> Tensor:
    """The slope in each block, (3, GRID, GRID) in [0, 1]; where the block tells little, that of its neighbours."""
    if shared:
        together, about = (value.mean(0, keepdim=True) for value in (together, about))
    near = [_near(value) for value in (together, about)]
    fallback = near[0] / near[1].clamp(min=1e-9)
    t = (together + _DOUBT * fallback) / (about + _DOUBT)
    return t.clamp(0, 1).expand(3, -1, -1)


def _near(value: Tensor) -> Tensor:
    return F.avg_pool2d(value[None], 5, stride=1, padding=2, count_include_pad=False)[0]


def _veil(blocks: _Moments, t: Tensor) -> Tensor:
    """A of each channel, (3,) in [0, 1], from y - x t = A(1 - t); a likely value where nothing is veiled."""
    lost = 1 - t
    weight = lost.square().sum((1, 2)) + 1e-4
    given = (lost * (blocks.y - blocks.x * t)).sum((1, 2)) + 1e-4 * _LIKELY_VEIL
    return (given / weight).clamp(0, 1)
