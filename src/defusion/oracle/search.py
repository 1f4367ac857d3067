"""JPEG and loss of resolution of one pair: the library's operators, at the parameters that explain it best."""

from collections.abc import Callable

import torch
from torch import Tensor

from defusion.degradations.compression import Jpeg, jpeg
from defusion.degradations.resolution import BICUBIC, Downsample
from defusion.oracle.fitted import Fitted, Pair
from defusion.types import Params

_BATCH = 8
_JPEG_PART = 256
_RATIO_STEP, _SIGMAS = 0.1, 7
"""The coarse grid of ratios and blurs."""
_PARTS = ((96, 0.08, 0.3), (96, 0.03, 0.1), (192, 0.01, 0.1), (256, 0.004, 0.05))
"""The rounds of the search: pixels along a side compared, and how far the ratio and the blur are moved."""
_MARGIN = 8
"""Pixels on the sides where a part was cut, which are not compared."""


def fit_jpeg(pair: Pair) -> Fitted:
    """The quality, 1 to 100, at which the clean picture comes nearest to the compressed one; none if it is nearer.

    The grid of blocks is taken to start at the picture's corner.
    """
    part = pair.crop(_JPEG_PART)
    codec = Jpeg(min_quality=1.0)

    def errors(quality: Tensor) -> Tensor:
        return (jpeg(part.hq.expand(len(quality), -1, -1, -1), quality) - part.lq).square().mean((1, 2, 3))

    rough = torch.cat([torch.arange(2.0, 30, 3), torch.arange(32.0, 101, 6)])
    around = float(rough[_batched(errors, rough).argmin()])
    fine = torch.arange(max(around - 6, 1), min(around + 6, 100) + 1)
    found = _batched(errors, fine)
    quality = fine[found.argmin()]
    if float((part.hq - part.lq).square().mean()) <= float(found.min()):
        return Fitted("jpeg", codec, {"severity": torch.zeros(1), "quality": torch.full((1,), 100.0)})
    severity = max(codec.severity(float(quality)), 1e-3)  # quality 100 rounds, severity 0 does not
    return Fitted("jpeg", codec, {"severity": torch.tensor([severity]), "quality": quality[None]})


def fit_downsample(pair: Pair) -> Fitted:
    """Ratio, blur and the methods of resampling, by search: a coarse grid, then one parameter at a time.

    The grid of the low resolution is taken to start at the picture's corner. How exactly the ratio must be met to
    bring both grids together grows with the part that is compared, so that the search goes on in larger parts.
    """
    lens, bicubic = Downsample(), torch.tensor([float(BICUBIC)])
    ratios = torch.arange(1, lens.max_ratio + _RATIO_STEP / 2, _RATIO_STEP)
    sigmas = torch.linspace(0, lens.sigma[1], _SIGMAS)
    trial = torch.cartesian_prod(ratios, sigmas, bicubic, bicubic)
    best = _best(lens, pair.part(0, 0, _PARTS[0][0]), trial)
    methods = torch.arange(3.0)
    for size, reach, spread in _PARTS:
        part, steps = pair.part(0, 0, size), torch.linspace(-1, 1, 9)
        best = _best(lens, part, torch.cartesian_prod(best[0:1], best[1:2], methods, methods))
        for index, (least, largest), step in ((1, (0.0, lens.sigma[1]), spread), (0, (1.0, lens.max_ratio), reach)):
            trial = best.repeat(len(steps), 1)
            trial[:, index] = (best[index] + step * steps).clamp(least, largest)
            best = _best(lens, part, trial)
    return Fitted("downsample", lens, _resampling(best[None]))


def _best(lens: Downsample, part: Pair, rows: Tensor) -> Tensor:
    """The row, of (n, 4), whose resampling explains the part best."""

    def errors(candidates: Tensor) -> Tensor:
        x = part.hq.expand(len(candidates), -1, -1, -1)
        y = lens.apply(x, _resampling(candidates), torch.Generator())
        return (y - part.lq)[..., :-_MARGIN, :-_MARGIN].square().mean((1, 2, 3))

    return rows[_batched(errors, rows).argmin()]


def _resampling(rows: Tensor) -> Params:
    """(n, 4), ratio, sigma, down, up, as parameters of `Downsample`."""
    ratio, sigma, down, up = rows.unbind(1)
    return {"ratio": ratio, "sigma": sigma, "down": down.long(), "up": up.long()}


def _batched(errors: Callable[[Tensor], Tensor], candidates: Tensor) -> Tensor:
    return torch.cat([errors(part) for part in candidates.split(_BATCH)])
