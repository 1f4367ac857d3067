"""What each training sample is to contain: its degradations, what its instruction shows, and why."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from defusion.degradations.library import EXCLUSIVE, NAMES, parse
from defusion.grounds.chart import Chart
from defusion.types import Mode


@dataclass(frozen=True)
class SynthesisConfig:
    """What training samples are made of.

    Attributes:
        weights: relative frequency of each degradation; those left out have 1, zero removes one.
        composites: relative frequencies of one, two, three... degradations in a sample; of two and more alone where
            the instruction is to show a part.
        severities: between which each degradation's severity is drawn, in [0, 1]; each one's own range when not given.
        matched: relative frequency of each instruction mode, see `defusion.types.Mode`.
        type_matched: likewise.
        partial: likewise; where `composites` or `weights` let in single degradations alone, which have no part to
            show, the instruction is type-matched.
        clean: likewise, of the null instruction (in a YAML file `null` is not a name).
        mismatched: likewise; what is shown is any of the other degradations that `weights` lets in, all alike.
        untouched: share of the mismatched samples whose picture has no degradation at all: it must come out as it is.
        chart: size and kind of the grounds.
        grounds: how many different grounds are drawn, once, when training starts: drawing them anew for
            every sample took a quarter of the synthesis.
        canonical: all instructions are shown on the canonical ground, and where noise, streaks and drops fall on it is
            the same for all of them, so that they are a function of the parameters: what a describer writes.
    """

    weights: dict[str, float] = field(default_factory=dict)
    composites: tuple[float, ...] = (0.7, 0.2, 0.1)
    severities: tuple[float, float] | None = None
    matched: float = 0.35
    type_matched: float = 0.35
    partial: float = 0.1
    clean: float = 0.1
    mismatched: float = 0.1
    untouched: float = 0.3
    chart: Chart = field(default_factory=Chart)
    grounds: int = 512
    canonical: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.weights) - set(NAMES)
        if unknown:
            raise ValueError(f"weights: expected names among {', '.join(NAMES)}, got {', '.join(sorted(unknown))}")
        if not 0 <= self.untouched <= 1:
            raise ValueError(f"untouched: expected a share in [0, 1], got {self.untouched}")
        if self.grounds < 1:
            raise ValueError(f"grounds: expected at least 1, got {self.grounds}")
        if self.severities is not None and not 0 <= self.severities[0] <= self.severities[1] <= 1:
            raise ValueError(f"severities: expected (low, high) in [0, 1], got {self.severities}")
        for name in ("frequencies", "composites", "modes"):
            values = getattr(self, name)
            if min(values) < 0 or sum(values) <= 0:
                raise ValueError(f"{name}: expected numbers of at least 0, not all 0, got {values}")

    @property
    def frequencies(self) -> tuple[float, ...]:
        """The relative frequency of each degradation in the order of the library."""
        return tuple(self.weights.get(name, 1.0) for name in NAMES)

    @property
    def modes(self) -> tuple[float, ...]:
        """The relative frequencies in the order of `Mode`."""
        return (self.matched, self.type_matched, self.partial, self.clean, self.mismatched)


@dataclass(frozen=True)
class Plan:
    """One sample: indices into the library of its degradations and of those shown, in the order they act."""

    present: tuple[int, ...]
    shown: tuple[int, ...]
    mode: Mode


def draw_plan(config: SynthesisConfig, draw: torch.Generator, task: str = "") -> Plan:
    """Draws the plan of one sample.

    Args:
        config: frequencies.
        draw: the sample's own generator.
        task: the degradations of a real pair, "rain+noise": its lq is given and its parameters are
            unknown, so that its instruction is type-matched, null or mismatched; "" to draw them.
    """
    mode = Mode(_choice(config.modes, draw))
    if task:
        present = tuple(NAMES.index(member.name) for member in parse(task).members)
    else:
        several = (0.0, *config.composites[1:])
        counts = several if mode is Mode.PARTIAL and any(several) else config.composites
        present = _members(config.frequencies, 1 + _choice(counts, draw), draw)
    if mode is Mode.NULL:
        return Plan(present, (), mode)
    if mode is Mode.MISMATCHED:
        if not task and float(torch.rand((), generator=draw)) < config.untouched:
            present = ()
        others = [float(i not in present and frequency > 0) for i, frequency in enumerate(config.frequencies)]
        return Plan(present, _members(others, 1, draw), mode) if any(others) else Plan(present, (), Mode.NULL)
    if task or (mode is Mode.PARTIAL and len(present) < 2):
        mode = Mode.TYPE_MATCHED
    if mode is Mode.PARTIAL:
        size = 1 + int(torch.randint(len(present) - 1, (), generator=draw))
        kept = torch.randperm(len(present), generator=draw)[:size].sort().values
        return Plan(present, tuple(present[place] for place in kept.tolist()), mode)
    return Plan(present, present, mode)


def sequences(*columns: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
    """Lists of n index tuples as (n, L) tensors of one length L, filled up with -1."""
    length = max(1, *(len(row) for rows in columns for row in rows))
    return tuple(torch.tensor([[*row, *[-1] * (length - len(row))] for row in rows]) for rows in columns)


def _choice(frequencies: tuple[float, ...] | list[float], draw: torch.Generator) -> int:
    """A place by relative frequencies, in a fifth of `torch.multinomial`'s time; those of 0 are never taken."""
    bounds = list(accumulate(frequencies))
    return bisect_right(bounds, float(torch.rand((), generator=draw, dtype=torch.double)) * bounds[-1])


def _members(frequencies: tuple[float, ...] | list[float], count: int, draw: torch.Generator) -> tuple[int, ...]:
    """Up to `count` degradations that go together, in the order of image formation."""
    left = list(frequencies)
    members: list[int] = []
    while len(members) < count and any(left):
        member = _choice(left, draw)
        members.append(member)
        left[member] = 0.0
        for exclusive in EXCLUSIVE:
            if NAMES[member] in exclusive:
                left = [0.0 if NAMES[i] in exclusive else value for i, value in enumerate(left)]
    return tuple(sorted(members))
