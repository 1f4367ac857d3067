"""JPEG and loss of resolution of one pair: the library's operators, at the parameters that explain it best."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.compression import Jpeg, jpeg
from defusion.degradations.resolution import AREA, BICUBIC, Downsample
from defusion.oracle.fitted import Fitted, Pair
from defusion.types import Params

_BATCH = 8
_JPEG_PART = 256
"""Pixels along a side that are compressed."""
_RATES, _SIGMAS, _START = 96, 4, 80
"""The coarse grid of 1 / ratio and of blurs, and pixels along a side that it compares; bicubic down, and up the two
methods that differ most."""
_BEAM = 8
"""Ratios of the coarse grid from which the search goes on."""
_ROUNDS = ((80, 0.008, 0.5, 3), (96, 0.003, 0.25, 1), (96, 0.0015, 0.12, 1), (160, 0.0006, 0.06, 1))
"""Then: pixels along a side compared, how far 1 / ratio and the blur are moved, and how many go on."""
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
    """Ratio, blur and the methods of resampling, by search: a coarse grid, then ever finer steps.

    The grid of the low resolution is taken to start at the picture's corner. How exactly the ratio must be met to
    bring both grids together grows with the part that is compared, so that the search goes on in larger parts.
    """
    lens, steps = Downsample(), torch.linspace(-1, 1, 9)
    rows, ways = _starts(lens, pair), torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0))
    for size, reach, spread, kept in _ROUNDS:
        part = pair.part(0, 0, size)
        for column, wanted in ((0, reach * steps), (1, spread * steps[::2])):
            trial = rows[:, None].repeat(1, len(wanted), 1)
            trial[..., column] += wanted
            trial[..., 0].clamp_(1 / lens.max_ratio, 1)
            trial[..., 1].clamp_(0, lens.sigma[1])
            if column == 1:
                trial = trial.repeat_interleave(len(ways), 1)
                trial[..., 2:] = ways.repeat(len(wanted), 1)
            errors, best = _errors(lens, part, trial.flatten(0, 1)).view(len(rows), -1).min(1)
            rows = trial[torch.arange(len(rows)), best]
        rows = rows[errors.argsort()[:kept]]
    return Fitted("downsample", lens, _resampling(rows))


def _starts(lens: Downsample, pair: Pair) -> Tensor:
    """Rows (n, 4) from which the search goes on: ratios that are better than their neighbours, with their blur.

    The right ratio is one of many such, as others give the same loss on another grid.
    """
    rates, sigmas = torch.linspace(1 / lens.max_ratio, 1, _RATES), torch.linspace(0, lens.sigma[1], _SIGMAS)
    down, up = torch.tensor([float(BICUBIC)]), torch.tensor([float(BICUBIC), float(AREA)])
    grid = torch.cartesian_prod(up, rates, sigmas, down)[:, [1, 2, 3, 0]]
    errors, blur = _errors(lens, pair.part(0, 0, _START), grid).view(-1, _SIGMAS).min(1)
    curves = errors.view(len(up), _RATES)
    least = F.max_pool1d(-curves, 3, stride=1, padding=1) == -curves
    chosen = torch.where(least.flatten(), errors, torch.inf).argsort()[: min(_BEAM, int(least.sum()))]
    return grid[chosen * _SIGMAS + blur[chosen]]


def _errors(lens: Downsample, part: Pair, rows: Tensor) -> Tensor:
    """Mean square error of the part under each row."""

    def errors(candidates: Tensor) -> Tensor:
        x = part.hq.expand(len(candidates), -1, -1, -1)
        y = lens.apply(x, _resampling(candidates), torch.Generator())
        return (y - part.lq)[..., :-_MARGIN, :-_MARGIN].square().mean((1, 2, 3))

    return _batched(errors, rows)


def _resampling(rows: Tensor) -> Params:
    """(n, 4), 1 / ratio, sigma, down, up, as parameters of `Downsample`."""
    rate, sigma, down, up = rows.unbind(1)
    return {"ratio": 1 / rate, "sigma": sigma, "down": down.long(), "up": up.long()}


def _batched(errors: Callable[[Tensor], Tensor], candidates: Tensor) -> Tensor:
    return torch.cat([errors(part) for part in candidates.split(_BATCH)])
