"""Blur of one pair: the kernel of a moving camera, and the radii of a lens out of focus."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import to_linear, to_srgb
from defusion.degradations.blur import DefocusBlur, MotionBlur, aperture, convolve
from defusion.oracle.fitted import Fitted, Pair
from defusion.types import Image

HALF = 15
"""Half size of a fitted kernel in pixels: the library's longest motion and two pixels of room."""
_RIDGE = 1e-3
"""Weight of the kernel's norm, of the power of the clean picture's gradients."""
_NEGLIGIBLE = 0.03
"""Kernel values below this share of the largest are noise of the fit."""
_SOLUTIONS, _ITERATIONS, _POWER_ITERATIONS = 5, 150, 30
_PATCHES, _PATCH = 5, 80
"""Patches along a side of the picture in which the radius of defocus is found, and their size in pixels."""
_RADIUS_STEP = 0.5
_STIFFNESS = 0.02
"""Weight of a radius that does not vary, of that of all patches."""


def fit_motion_blur(pair: Pair) -> Fitted:
    """One kernel for the whole picture, by non-negative least squares in linear light."""
    kernel = blur_kernel(to_linear(pair.lq), to_linear(pair.hq))
    return Fitted("motion_blur", MotionBlur(), {"kernel": kernel[None]})


def blur_kernel(blurred: Image, sharp: Image) -> Tensor:
    """The kernel k >= 0 that explains `blurred = k * sharp` best, in the gradients of the pictures.

    Minimises |k * g - h|^2 + ridge |k|^2 over k >= 0 of a given support, g and h being the gradients of the
    sharp and the blurred picture (as in Cho and Lee, "Fast motion deblurring", 2009), off the borders. The
    Hessian is taken for that of a picture without borders, whose entries are one autocorrelation; what it gets
    wrong is mended by solving again for what the kernel leaves.

    Args:
        blurred: (1, 3, H, W), linear light.
        sharp: (1, 3, H, W), linear light.

    Returns:
        (2 HALF + 1, 2 HALF + 1), adds up to 1.
    """
    side, views = 2 * HALF + 1, _Views.of(_gradients(blurred), _gradients(sharp))
    lags = torch.arange(side)
    apart = lags[:, None] - lags + side - 1  # the lag between two taps, as an index
    auto = views.autocorrelation()
    scale = float(auto[side - 1, side - 1])
    if scale <= 0:
        return _delta(side)
    hessian = auto[apart[:, None, :, None], apart[None, :, None, :]].reshape(side**2, side**2) / scale
    hessian += _RIDGE * torch.eye(side**2)
    kernel = torch.zeros(side, side)
    for _ in range(_SOLUTIONS):
        left = views.unexplained(kernel) / scale - _RIDGE * kernel
        start = kernel.flatten()
        kernel = _non_negative(hessian, left.flatten() + hessian @ start, start).view(side, side)
    kernel = torch.where(kernel < _NEGLIGIBLE * kernel.max(), 0.0, kernel)
    total = kernel.sum()
    return kernel / total if total > 0 else _delta(side)


def _delta(side: int) -> Tensor:
    kernel = torch.zeros(side, side)
    kernel[side // 2, side // 2] = 1
    return kernel


def _gradients(x: Image) -> Tensor:
    """Differences down and across, (6, H, W)."""
    down = torch.diff(x[0], dim=1, append=x[0, :, -1:])
    across = torch.diff(x[0], dim=2, append=x[0, :, :, -1:])
    return torch.cat([down, across])


@dataclass(frozen=True)
class _Views:
    """Two pictures (C, H, W), their borders left out, as Fourier transforms."""

    blurred: Tensor
    inner: Tensor
    """1 where a kernel does not reach over the border, (H, W)."""
    sharp: Tensor
    """The transform of the sharp one, padded to `size`."""
    cut: Tensor
    """That of its inner part."""
    size: tuple[int, int]

    @classmethod
    def of(cls, blurred: Tensor, sharp: Tensor) -> "_Views":
        inner = torch.zeros(sharp.shape[1:])
        inner[HALF:-HALF, HALF:-HALF] = 1
        size = (sharp.shape[1] + 4 * HALF, sharp.shape[2] + 4 * HALF)
        return cls(blurred, inner, torch.fft.rfft2(sharp, s=size), torch.fft.rfft2(sharp * inner, s=size), size)

    def autocorrelation(self) -> Tensor:
        """sum g(p) g(p + k) for |k| <= 2 HALF."""
        return self._lags(self.cut.abs().square().sum(0), 2 * HALF)

    def unexplained(self, kernel: Tensor) -> Tensor:
        """sum (h - kernel * g)(p) g(p - k) over the inner p, for |k| <= HALF."""
        padded = F.pad(kernel, (0, self.size[1] - kernel.shape[1], 0, self.size[0] - kernel.shape[0]))
        transform = torch.fft.rfft2(padded.roll((-HALF, -HALF), (0, 1)))
        height, width = self.inner.shape
        explained = torch.fft.irfft2(transform * self.sharp, s=self.size)[:, :height, :width]
        left = torch.fft.rfft2((self.blurred - explained) * self.inner, s=self.size)
        return self._lags((left * self.sharp.conj()).sum(0), HALF)

    def _lags(self, transform: Tensor, reach: int) -> Tensor:
        rolled = torch.fft.irfft2(transform, s=self.size).roll((reach, reach), (0, 1))
        return rolled[: 2 * reach + 1, : 2 * reach + 1]


def _non_negative(hessian: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """The minimum of k G k / 2 - t k over k >= 0, by accelerated projected gradients (Beck and Teboulle, 2009)."""
    step = 1 / _largest_eigenvalue(hessian)
    kernel = ahead = start
    momentum = 1.0
    for _ in range(_ITERATIONS):
        moved = (ahead - step * (hessian @ ahead - target)).clamp_(min=0)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - kernel)
        kernel, momentum = moved, following
    return kernel


def _largest_eigenvalue(symmetric: Tensor) -> float:
    """By power iteration, and a twentieth more: a step is never too long."""
    vector = torch.ones(len(symmetric))
    for _ in range(_POWER_ITERATIONS):
        vector = symmetric @ (vector / vector.norm())
    return 1.05 * float(vector.norm())


def fit_defocus_blur(pair: Pair) -> Fitted:
    """A disc whose radius is a quadratic over the picture, as in the library.

    In patches all over the picture the radius is found that explains the degraded one best, up to the
    library's largest; a quadratic in relative coordinates goes through them, each weighted by how sharply
    it tells its radius. The aperture is taken for round.
    """
    lens = DefocusBlur()
    places, lq, hq = _patches(pair)
    radii = torch.arange(0, lens.max_radius + _RADIUS_STEP / 2, _RADIUS_STEP)
    errors = _disc_errors(lq, hq, radii)
    radius, sharpness = _minimum(errors, radii)
    mean, coefficients = _quadratic(places, radius, sharpness)
    reach = float(_basis(_everywhere()).matmul(coefficients).abs().max())
    reach = max(min(reach, mean, lens.max_radius - mean), 1e-6)
    ends = torch.tensor([[mean - reach, mean + reach]])
    params = {"radius": ends, "blades": torch.zeros(1), "rotation": torch.zeros(1)}
    return Fitted("defocus_blur", lens, params | {"depth": coefficients[None] / (2 * reach)})


def _patches(pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
    """Centres of patches in [-1, 1], across and down (P, 2), and their green in both pictures (P, 1, h, w)."""
    height, width = pair.hq.shape[2:]
    size = min(_PATCH, height, width)
    tops, lefts = (torch.linspace(0, length - size, _PATCHES).long() for length in (height, width))
    centres = [
        (2 * (left + size / 2) / width - 1, 2 * (top + size / 2) / height - 1)
        for top in tops.tolist()
        for left in lefts.tolist()
    ]
    both = torch.cat([pair.lq[:, 1:2], pair.hq[:, 1:2]])
    cut = torch.stack([both[..., t : t + size, x : x + size] for t in tops.tolist() for x in lefts.tolist()])
    return torch.tensor(centres), cut[:, 0], cut[:, 1]


def _disc_errors(lq: Tensor, hq: Tensor, radii: Tensor) -> Tensor:
    """Mean square error of every patch under every disc, (P, R)."""
    half = int(float(radii[-1]) + 0.5)
    discs = aperture(radii[None], torch.zeros(1), torch.zeros(1), half)[0]
    linear, inner = to_linear(hq), slice(half, -half)
    errors = []
    for disc in discs:
        blurred = to_srgb(convolve(linear, disc.expand(len(hq), -1, -1)).clamp_(0, 1))
        errors.append((blurred - lq)[..., inner, inner].square().mean((1, 2, 3)))
    return torch.stack(errors, dim=1)


def _minimum(errors: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    """The radius of the least error, between steps by a parabola, and the curvature there: 2 x (P,)."""
    best = errors.argmin(1)
    middle = best.clamp(1, len(radii) - 2)
    rows = torch.arange(len(errors))
    before, here, after = (errors[rows, middle + step] for step in (-1, 0, 1))
    curvature = (before - 2 * here + after).clamp(min=1e-12)
    shift = (0.5 * (before - after) / curvature).clamp(-1, 1)
    return radii[middle] + _RADIUS_STEP * shift, curvature


def _basis(places: Tensor) -> Tensor:
    x, y = places.unbind(1)
    return torch.stack([x, y, x * x, x * y, y * y], dim=1)


def _everywhere() -> Tensor:
    line = torch.linspace(-1, 1, 21)
    return torch.cartesian_prod(line, line)


def _quadratic(places: Tensor, radius: Tensor, weight: Tensor) -> tuple[float, Tensor]:
    """The constant and the five coefficients of the quadratic through the radii, by weighted ridge regression."""
    basis = torch.cat([torch.ones(len(places), 1), _basis(places)], dim=1).double()
    weight = (weight / weight.sum()).double()
    penalty = _STIFFNESS * torch.eye(6, dtype=torch.float64)
    penalty[0, 0] = 0
    moments = basis.mT @ (weight * radius).double()
    solution = torch.linalg.solve(basis.mT @ (weight[:, None] * basis) + penalty, moments)
    return float(solution[0].clamp(0, DefocusBlur().max_radius)), solution[1:].float()
