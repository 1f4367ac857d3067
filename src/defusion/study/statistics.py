"""Means over photographs and tasks, their 95% intervals over photographs, and their spread over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from defusion.random import generator, integers
from defusion.study.scores import ImageScore, Measurement

Seeds: TypeAlias = Mapping[int, Measurement]
"""The same measurement of each seed's network."""

WEATHER: Mapping[str, str] = {"derain": "rain", "dehaze": "haze", "desnow": "snow"}
"""The tasks of the paper's ablation, by its names."""

GAIN = "psnr_gain"
"""The metric that is PSNR of the restoration less that of the input, in dB."""

RESAMPLES = 2000
_QUANTILES = (0.025, 0.975)
_SEED = 5


@dataclass(frozen=True)
class Estimate:
    """A mean, with what is known of its chance.

    Attributes:
        value: mean over seeds, over photographs, then over tasks.
        low: lower end of the 95% interval over photographs; with one photograph nothing is known, minus infinity.
        high: upper end, likewise.
        spread: over seeds, of the seeds' own means: standard deviation of three or more, range of two, None of one.
    """

    value: float
    low: float
    high: float
    spread: float | None

    @property
    def differs(self) -> bool:
        """Of a difference: whether its interval excludes zero."""
        return self.low > 0 or self.high < 0


def estimate(seeds: Seeds, metric: str, tasks: Sequence[str]) -> Estimate:
    """The mean of one metric: over the photographs of each task, then over tasks.

    Photographs are the unit of the bootstrap: one that is drawn brings its scores under all tasks and of all seeds.

    Args:
        seeds: at least one.
        metric: "psnr", "ssim", "lpips" of the restorations, or `GAIN`.
        tasks: at least one.

    Raises:
        ValueError: for a task or a metric that was not measured.
    """
    return _estimate(_cells(seeds, metric, tasks, photographs(seeds, tasks)))


def difference(seeds: Seeds, reference: Seeds, metric: str, tasks: Sequence[str]) -> Estimate:
    """The mean of one metric less that of the reference, photograph by photograph; see `estimate`.

    The mean is over all seeds of either side; the spread is that of the seeds which both have.

    Raises:
        ValueError: unless both were measured on the same photographs under each task.
    """
    names, others = photographs(seeds, tasks), photographs(reference, tasks)
    if names != others:
        raise ValueError(
            f"seeds, reference: expected the same photographs under {', '.join(tasks)}, got {list(names)} and "
            f"{list(others)}; measure both again on the same data"
        )
    ours, theirs = (_cells(side, metric, tasks, names) for side in (seeds, reference))
    if not torch.equal(ours[0].isnan(), theirs[0].isnan()):
        raise ValueError("seeds, reference: expected each photograph under the same tasks; measure both again")
    common = [seed for seed in seeds if seed in reference]
    rows, reference_rows = ([list(side).index(seed) for seed in common] for side in (seeds, reference))
    spread = _spread(_mean(ours[rows] - theirs[reference_rows]))
    paired = _estimate(ours.mean(0, keepdim=True) - theirs.mean(0, keepdim=True))
    return replace(paired, spread=spread)


def photographs(seeds: Seeds, tasks: Sequence[str]) -> tuple[str, ...]:
    """The names of the photographs that were measured under any of the tasks, sorted."""
    return tuple(sorted({own.name for one in seeds.values() for own in one.images if own.task in tasks}))


def tasks_of(seeds: Seeds) -> tuple[str, ...]:
    """The tasks of a measurement, in its order."""
    return tuple(dict.fromkeys(own.task for one in seeds.values() for own in one.images))


def groups_of(seeds: Seeds) -> dict[str, tuple[str, ...]]:
    """Name -> tasks, of what means are taken over.

    Each task of the paper's ablation that was measured by its name, "weather", their mean, where there are several,
    and "all", where there are tasks beside them.
    """
    tasks = tasks_of(seeds)
    weather = {name: (task,) for name, task in WEATHER.items() if task in tasks}
    means = {"weather": tuple(task for (task,) in weather.values())} if len(weather) > 1 else {}
    beside = {"all": tasks} if set(tasks) - set(WEATHER.values()) else {}
    return weather | means | beside


def value(image: ImageScore, metric: str) -> float:
    """One score of one picture.

    Raises:
        ValueError: when it was not measured.
    """
    if metric == GAIN:
        return image.gain
    if metric not in image.restored:
        raise ValueError(f"metric: expected one of {', '.join(image.restored)} or {GAIN}, got {metric!r}")
    return image.restored[metric]


def _cells(seeds: Seeds, metric: str, tasks: Sequence[str], names: Sequence[str]) -> Tensor:
    """(seeds, photographs, tasks) float64, NaN where a photograph was not under a task, the same for all seeds."""
    cells = torch.full((len(seeds), len(names), len(tasks)), math.nan, dtype=torch.float64)
    for row, measurement in enumerate(seeds.values()):
        for image in measurement.images:
            if image.task in tasks and image.name in names:
                cells[row, names.index(image.name), tasks.index(image.task)] = value(image, metric)
    missing = cells.isnan()
    if missing.all(dim=1).any() or (missing != missing[:1]).any():
        raise ValueError(
            f"seeds: expected each of them to be measured under {', '.join(tasks)} on the same photographs, got "
            f"{[sorted({own.task for own in one.images}) for one in seeds.values()]}; measure them all again"
        )
    return cells


def _estimate(cells: Tensor) -> Estimate:
    """Of (seeds, photographs, tasks)."""
    mean = cells.mean(0)
    low, high = -math.inf, math.inf
    if len(mean) > 1:
        counts = _counts(len(mean))
        sums, numbers = counts @ mean.nan_to_num(), counts @ (~mean.isnan()).double()
        # A task none of whose photographs was drawn is left out of that resample.
        resampled = (sums / numbers).nanmean(1)
        low, high = resampled.quantile(torch.tensor(_QUANTILES, dtype=torch.float64)).tolist()
    return Estimate(float(_mean(mean)), low, high, _spread(_mean(cells)))


@cache
def _counts(photographs: int) -> Tensor:
    """How often each resample draws each photograph, (RESAMPLES, photographs) float64, the same for every estimate."""
    draws = integers(RESAMPLES, (photographs,), generator(_SEED, photographs), photographs)
    return torch.zeros(RESAMPLES, photographs, dtype=torch.float64).scatter_add_(
        1, draws, torch.ones_like(draws, dtype=torch.float64)
    )


def _mean(cells: Tensor) -> Tensor:
    """Over photographs, then over tasks: (..., photographs, tasks) -> (...)."""
    return cells.nanmean(-2).mean(-1)


def _spread(means: Tensor) -> float | None:
    """Of (seeds,)."""
    if len(means) < 2:
        return None
    return float(means.std() if len(means) > 2 else means.max() - means.min())
