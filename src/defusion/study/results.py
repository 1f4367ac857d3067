"""All that a study measured, found by variant and seed."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from defusion.study.claims import CLAIMS, PEERS, VARIANTS, Claim
from defusion.study.scores import Scores
from defusion.study.statistics import GAIN, Estimate, Seeds, Values, tasks_of, values

_ORDER = (*VARIANTS, *PEERS)


class Results:
    """The scores of all trained networks.

    Args:
        scores: each variant and seed once, of one run at least.

    Attributes:
        variants: variant -> seed -> scores; the reference first, then in the order of the report, then the peers, then
            others by name.

    Raises:
        ValueError: without scores, for a variant and seed that comes twice, or for LPIPS of several networks.
    """

    def __init__(self, scores: Iterable[Scores]) -> None:
        found: dict[str, dict[int, Scores]] = {}
        for own in scores:
            if own.seed in found.setdefault(own.variant, {}):
                raise ValueError(f"scores: expected each run once, got {own.variant} with seed {own.seed} twice")
            found[own.variant][own.seed] = own
        networks = {own.identity.get("lpips") for runs in found.values() for own in runs.values()} - {None}
        if len(networks) > 1:
            raise ValueError("scores: expected LPIPS of one network, got several; measure all runs with one --lpips")
        if not found:
            raise ValueError("scores: expected those of at least one run, got none; measure a trained network first")
        order = {name: place for place, name in enumerate(_ORDER)}
        names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
        self.variants: Mapping[str, Mapping[int, Scores]] = {name: dict(sorted(found[name].items())) for name in names}

    @property
    def runs(self) -> list[Scores]:
        """All of them, in the order of the variants."""
        return [own for runs in self.variants.values() for own in runs.values()]

    def measured(self, variant: str, name: str = "main") -> Seeds:
        """Seed -> the measurement of that name; empty where it was not taken."""
        runs = self.variants.get(variant, {})
        found = {seed: own.measurement(name) for seed, own in runs.items()}
        return {seed: measurement for seed, measurement in found.items() if measurement is not None}

    def named(self, variant: str, *prefixes: str) -> list[str]:
        """The names of a variant's measurements that begin so: prefix by prefix, then in their order."""
        runs = self.variants.get(variant, {}).values()
        names = list(dict.fromkeys(own.name for run in runs for own in run.measurements))
        return [name for prefix in prefixes for name in names if name.startswith(prefix)]

    @property
    def tested(self) -> list[Claim]:
        """The claims whose variant and reference were both measured, with a seed in common."""
        return [own for own in CLAIMS if self.comparable(own.variant, own.reference)]

    def comparable(self, variant: str, reference: str, name: str = "main") -> bool:
        """Whether two were both measured in this way, with a seed in common."""
        return bool(self.measured(variant, name).keys() & self.measured(reference, name).keys())

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every network was measured by: of "psnr", "ssim", "lpips"."""
        rows = [own.main.metrics for own in self.runs]
        return tuple(name for name in ("psnr", "ssim", "lpips") if all(name in row for row in rows))

    @cached_property
    def without_lpips(self) -> tuple[str, ...]:
        """The runs that LPIPS was not measured of, by variant and seed."""
        return tuple(f"{own.variant}, seed {own.seed}" for own in self.runs if "lpips" not in own.main.metrics)

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the measurement that all variants have."""
        return tasks_of(self.measured(next(iter(self.variants))))

    def values(self, variant: str, metric: str, tasks: tuple[str, ...] = (), name: str = "main") -> Values:
        """A metric by seed and photograph; see `statistics.values`."""
        return values(self.measured(variant, name), metric, tasks)

    def difference(self, variant: str, reference: str, metric: str, name: str = "main") -> Estimate:
        """The mean of a metric over all tasks, less that of another variant."""
        return self._less(variant, reference, metric, name).estimate()

    def change(self, variant: str, reference: str, name: str) -> Estimate:
        """The gain less the reference's in this way, less the same in the main way: below zero, it loses more."""
        return (self._less(variant, reference, GAIN, name) - self._less(variant, reference, GAIN, "main")).estimate()

    def _less(self, variant: str, reference: str, metric: str, name: str) -> Values:
        return self.values(variant, metric, name=name) - self.values(reference, metric, name=name)
