"""All that a study measured, found by variant and seed."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from defusion.study.claims import CLAIMS, PEERS, REFERENCE, Claim
from defusion.study.scores import Scores
from defusion.study.statistics import GAIN, Estimate, Seeds, difference, estimate, groups_of

_ORDER = (REFERENCE, *(claim.variant for claim in CLAIMS), *PEERS)


class Results:
    """The scores of all trained networks.

    Args:
        scores: each variant and seed once.

    Attributes:
        variants: variant -> seed -> scores; the reference first, then in the order of the claims, then the peers, then
            others by name.

    Raises:
        ValueError: for a variant and seed that comes twice.
    """

    def __init__(self, scores: Iterable[Scores]) -> None:
        found: dict[str, dict[int, Scores]] = {}
        for own in scores:
            if own.seed in found.setdefault(own.variant, {}):
                raise ValueError(f"scores: expected each run once, got {own.variant} with seed {own.seed} twice")
            found[own.variant][own.seed] = own
        order = {name: place for place, name in enumerate(_ORDER)}
        names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
        self.variants: Mapping[str, Mapping[int, Scores]] = {name: dict(sorted(found[name].items())) for name in names}

    def measured(self, variant: str, name: str = "main") -> Seeds:
        """Seed -> the measurement of that name; empty where it was not taken."""
        runs = self.variants.get(variant, {})
        found = {seed: own.measurement(name) for seed, own in runs.items()}
        return {seed: measurement for seed, measurement in found.items() if measurement is not None}

    def named(self, *prefixes: str) -> list[str]:
        """The names of the reference's measurements that begin so: prefix by prefix, then in their order."""
        runs = self.variants.get(REFERENCE, {}).values()
        names = list(dict.fromkeys(own.name for run in runs for own in run.measurements))
        return [name for prefix in prefixes for name in names if name.startswith(prefix)]

    @property
    def tested(self) -> list[Claim]:
        """The claims whose variant and reference were both measured."""
        return [own for own in CLAIMS if {own.variant, own.reference} <= self.variants.keys()]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every variant was measured by, `GAIN` first."""
        rows = [own.main.metrics for runs in self.variants.values() for own in runs.values()]
        return (GAIN, *(name for name in ("psnr", "ssim", "lpips") if rows and all(name in row for row in rows)))

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Name -> tasks of the measurement that all variants have."""
        return groups_of(self.measured(next(iter(self.variants)))) if self.variants else {}

    @property
    def means(self) -> Mapping[str, tuple[str, ...]]:
        """Those of the groups that are means over tasks; the whole where there is one task alone."""
        several = {name: tasks for name, tasks in self.groups.items() if name in ("weather", "all")}
        return several or self.groups

    def estimate(self, variant: str, metric: str, tasks: tuple[str, ...], name: str = "main") -> Estimate:
        """The mean of a metric; see `statistics.estimate`."""
        return estimate(self.measured(variant, name), metric, tasks)

    def difference(self, variant: str, reference: str, metric: str, tasks: tuple[str, ...]) -> Estimate:
        """The mean of a metric less that of another variant; see `statistics.difference`."""
        return difference(self.measured(variant), self.measured(reference), metric, tasks)
