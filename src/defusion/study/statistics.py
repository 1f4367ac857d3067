"""Means over seeds, photographs and tasks, and their 95% intervals: over photographs, and over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from scipy.stats import t as student
from torch import Tensor

from defusion.study.scores import ImageScore, Measurement

Seeds: TypeAlias = Mapping[int, Measurement]
"""The same measurement of each seed's network."""

GAIN = "psnr_gain"
"""The metric that is PSNR of the restoration less that of the input, in dB."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """The 95% interval of a mean by Student's t."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """A mean, with what is known of its chance.

    Attributes:
        value: mean over seeds, photographs and tasks.
        photographs: its interval over photographs, of their means over seeds; None for one photograph.
        seeds: its interval over seeds, of their means over photographs; None for one seed.
        spread: standard deviation of the seeds' means; None for one seed.
        number: of seeds.
    """

    value: float
    photographs: Interval | None
    seeds: Interval | None
    spread: float | None
    number: int

    @property
    def decided(self) -> bool:
        """Of a difference: whether both intervals are known and exclude zero."""
        return all(own is not None and own.excludes_zero for own in (self.photographs, self.seeds))


@dataclass(frozen=True)
class Values:
    """One metric of one measurement, or a difference of such.

    Attributes:
        seeds: of the rows.
        photographs: names, of the columns.
        values: means over tasks, (seeds, photographs) float64.
    """

    seeds: tuple[int, ...]
    photographs: tuple[str, ...]
    values: Tensor

    def __sub__(self, reference: "Values") -> "Values":
        """Photograph by photograph, of the seeds that both have; what one side has beyond them is left out.

        Raises:
            ValueError: without a common seed, or for other photographs.
        """
        if self.photographs != reference.photographs:
            raise ValueError(
                f"reference: expected the same photographs, got {list(self.photographs)} and "
                f"{list(reference.photographs)}; measure both again on the same data"
            )
        common = tuple(seed for seed in self.seeds if seed in reference.seeds)
        if not common:
            raise ValueError(
                f"reference: expected a seed that both have, got {list(self.seeds)} and {list(reference.seeds)}; "
                "train both with the same seeds"
            )
        rows, others = ([side.seeds.index(seed) for seed in common] for side in (self, reference))
        return Values(common, self.photographs, self.values[rows] - reference.values[others])

    def estimate(self) -> Estimate:
        """Their mean and its intervals."""
        by_photograph, by_seed = self.values.mean(0), self.values.mean(1)
        spread = float(by_seed.std()) if len(by_seed) > 1 else None
        return Estimate(
            float(self.values.mean()), t_interval(by_photograph), t_interval(by_seed), spread, len(self.seeds)
        )


def t_interval(values: Tensor) -> Interval | None:
    """The 95% interval of the mean of independent values, (N,); None for a single one, which tells nothing.

    Of paired differences it is that of the paired t-test.
    """
    if len(values) < 2:
        return None
    degrees = len(values) - 1
    half = float(student.ppf((1 + CONFIDENCE) / 2, degrees)) * float(values.std()) / len(values) ** 0.5
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def values(seeds: Seeds, metric: str, tasks: Sequence[str] = ()) -> Values:
    """One metric of a measurement.

    Args:
        seeds: at least one.
        metric: "psnr", "ssim", "lpips" of the restorations, or `GAIN`.
        tasks: over which each photograph's mean is taken; all that were measured when empty.

    Raises:
        ValueError: for a metric that was not measured, or unless all seeds have every photograph under every task.
    """
    tasks = tasks or tasks_of(seeds)
    names = photographs(seeds)
    wanted = {(task, name) for task in tasks for name in names}
    rows = []
    for own in seeds.values():
        cells = {(image.task, image.name): _value(image, metric) for image in own.images if image.task in tasks}
        if cells.keys() != wanted:
            raise ValueError(
                f"seeds: expected every photograph under each of {', '.join(tasks)} for all seeds, got "
                f"{len(cells)} of {len(wanted)} pictures in measurement {own.name}; measure them all again"
            )
        rows.append([sum(cells[task, name] for task in tasks) / len(tasks) for name in names])
    return Values(tuple(seeds), names, torch.tensor(rows, dtype=torch.float64))


def photographs(seeds: Seeds) -> tuple[str, ...]:
    """The names of the photographs that were measured, sorted."""
    return tuple(sorted({image.name for own in seeds.values() for image in own.images}))


def tasks_of(seeds: Seeds) -> tuple[str, ...]:
    """The tasks of a measurement, in its order."""
    return tuple(dict.fromkeys(image.task for own in seeds.values() for image in own.images))


def _value(image: ImageScore, metric: str) -> float:
    if metric == GAIN:
        return image.gain
    if metric not in image.restored:
        raise ValueError(f"metric: expected one of {', '.join(image.restored)} or {GAIN}, got {metric!r}")
    return image.restored[metric]
