"""The eleven degradations by name, and their composition."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

import torch
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.blur import DefocusBlur, MotionBlur
from defusion.degradations.compression import Jpeg
from defusion.degradations.haze import Haze
from defusion.degradations.light import LowLight
from defusion.degradations.noise import Noise
from defusion.degradations.rain import Rain
from defusion.degradations.raindrop import Raindrop
from defusion.degradations.resolution import Downsample
from defusion.degradations.snow import Snow
from defusion.degradations.water import Underwater
from defusion.random import Generators, generator, integers, take
from defusion.types import Image, Params

LIBRARY: dict[str, Degradation] = {
    member.name: member
    for member in (
        LowLight(),
        Rain(),
        Snow(),
        Haze(),
        Underwater(),
        Raindrop(),
        DefocusBlur(),
        MotionBlur(),
        Downsample(),
        Noise(),
        Jpeg(),
    )
}
"""Name -> operator, in the order of image formation: scene light, weather, glass, lens, sensor, file
(low_light -> rain -> snow -> haze as in OneRestore's CDD-11; blur -> noise -> jpeg as in Real-ESRGAN)."""

NAMES: tuple[str, ...] = tuple(LIBRARY)

UNSHARP: tuple[str, ...] = ("defocus_blur", "motion_blur", "downsample")
"""Losses of sharpness, of which a picture has at most one."""

EXCLUSIVE: tuple[frozenset[str], ...] = (
    frozenset(UNSHARP),
    *(frozenset({"underwater", name}) for name in ("rain", "snow", "haze", "raindrop", "low_light")),
)
"""Sets of which a composite takes at most one member: one loss of sharpness, no weather under water."""


def composites(count: int) -> tuple[tuple[str, ...], ...]:
    """All composites of `count` degradations that go together (`EXCLUSIVE`), each in the order of image formation."""
    return tuple(
        names
        for names in combinations(NAMES, count)
        if not any(len(exclusive.intersection(names)) > 1 for exclusive in EXCLUSIVE)
    )


@dataclass(frozen=True)
class Compose(Degradation):
    """Degradations one after the other; each sample has its own sequence of members.

    Every member of every sample has its own random stream, keyed by the sample's seed and the
    member: leaving a member out keeps the others bit for bit, which gives the target T_v(lq)
    when the instruction shows a part of a composite (paper, section 3).
    """

    members: tuple[Degradation, ...]

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"members: expected one or more distinct degradations, got {names}")

    @property
    def name(self) -> str:  # type: ignore[override]
        """The members' names, joined by "+"."""
        return "+".join(member.name for member in self.members)

    def draw(
        self,
        n: int,
        generators: Generators,
        severity: Tensor | None = None,
        sequence: Tensor | None = None,
    ) -> Params:
        """Draws the parameters of every member in each sample's sequence.

        Args:
            n: number of samples.
            generators: on the CPU, one for the batch or one a sample.
            severity: (n,), shared by the members, or (n, M), one a member; drawn when not given.
            sequence: (n, L), the indices of the members in the order they act, -1 for none;
                all members in their order when not given.

        Returns:
            "sequence" and, as "member.parameter", each member's rows (zeros where it is absent).
        """
        if sequence is None:
            sequence = torch.arange(len(self.members)).expand(n, -1)
        params: Params = {"sequence": sequence}
        for index, member in enumerate(self.members):
            rows = (sequence == index).any(1).nonzero()[:, 0]
            if not len(rows):
                continue
            own = None
            if severity is not None:
                own = (severity if severity.ndim == 1 else severity[:, index])[rows]
            for key, value in member.draw(len(rows), take(generators, rows), own).items():
                full = value.new_zeros((n, *value.shape[1:]))
                full[rows] = value
                params[f"{member.name}.{key}"] = full
        return params

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Degrades `x`; the generators, on any device, give one seed a sample."""
        seeds = integers(len(x), (), generators, 2**62, device=_device(generators)).tolist()
        x = x.clone()
        for position in params["sequence"].T:
            for index in position[position >= 0].unique().tolist():
                member = self.members[index]
                rows = (position == index).nonzero()[:, 0]
                streams = [generator(seeds[row], index, device=x.device) for row in rows.tolist()]
                there = rows.to(x.device)
                x[there] = member.apply(x[there], _own(params, member, rows), streams)
        return x

    def names(self, params: Params) -> tuple[str, ...]:
        """Each sample's degradations by name, joined by "+"; "clean" where there is none."""
        return tuple(
            "+".join(self.members[index].name for index in row if index >= 0) or "clean"
            for row in params["sequence"].tolist()
        )


def rows_of(params: Params, rows: Tensor) -> Params:
    """The parameters of the samples at `rows`."""
    return {key: value[rows] for key, value in params.items()}


def leave_out(params: Params, left_out: Tensor) -> Params:
    """The same draw without some members: `left_out` is (n, L), true at the places of the sequence to skip."""
    return params | {"sequence": params["sequence"].masked_fill(left_out, -1)}


def parse(spec: str) -> Compose:
    """The composition named by "rain" or "rain+noise", members in the order given.

    Raises:
        ValueError: for an unknown name (with the nearest ones) or one that stands twice.
    """
    names = [name.strip() for name in spec.split("+")]
    for name in names:
        if name not in LIBRARY:
            near = [own for own in NAMES if name and name in own] or get_close_matches(name, NAMES, n=3) or NAMES
            raise ValueError(
                f"unknown degradation {name!r} in {spec!r}: did you mean {', '.join(near)}? "
                'Degradations are joined by "+": "rain+noise".'
            )
    return Compose(tuple(LIBRARY[name] for name in names))


def _own(params: Params, member: Degradation, rows: Tensor) -> Params:
    prefix = f"{member.name}."
    return {key.removeprefix(prefix): value[rows] for key, value in params.items() if key.startswith(prefix)}


def _device(generators: Generators) -> torch.device:
    if isinstance(generators, torch.Generator):
        return generators.device
    return generators[0].device if isinstance(generators, Sequence) and generators else torch.device("cpu")
