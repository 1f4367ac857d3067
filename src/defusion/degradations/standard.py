"""The fixed test of each degradation: one operator, one severity, one seed; for measuring and for showing."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.compression import Jpeg
from defusion.degradations.library import Compose, leave_out, parse
from defusion.degradations.noise import Noise
from defusion.random import generator
from defusion.types import Image, Params

MID_SEVERITY = 0.5

NOISE_SIGMA = 25.0
"""8-bit units: "noise" is tested as additive white Gaussian noise, the protocol of CBSD68."""


@dataclass(frozen=True)
class Drawn:
    """A degradation with its parameters: those of one picture, for that picture and for what shows them.

    Attributes:
        operator: the members in the order they act.
        params: one row, on the CPU.
        fields: where the picture's spatial fields (noise, streaks, drops) come from; never advanced.
    """

    operator: Compose
    params: Params
    fields: torch.Generator

    def apply(self, x: Image, fields: torch.Generator | None = None) -> Image:
        """Degrades x (1, 3, H, W) in [0, 1], on the CPU, the same each time.

        Args:
            x: the clean picture.
            fields: another source of the spatial fields, for a chart under the picture's parameters.
        """
        return self.operator.apply(x, self.params, fields or self.fields.clone_state())

    def without(self, name: str) -> "Drawn":
        """This very draw without one member: the others act as before, bit for bit.

        Raises:
            ValueError: when it has no such member.
        """
        names = [member.name for member in self.operator.members]
        if name not in names:
            raise ValueError(f"name: expected one of {', '.join(names)}, got {name!r}")
        left_out = self.params["sequence"] == names.index(name)
        return replace(self, params=leave_out(self.params, left_out))


def split_levels(spec: str) -> tuple[tuple[str, ...], tuple[float | None, ...]]:
    """The names in "rain:0.7+noise:25+haze", and the numbers behind them, None where there is none.

    Raises:
        ValueError: for what is no number.
    """
    names, levels = [], []
    for part in spec.split("+"):
        name, colon, number = (own.strip() for own in part.partition(":"))
        try:
            levels.append(float(number) if colon else None)
        except ValueError as error:
            raise ValueError(
                f'{spec!r}: expected a number behind "{name}:", as in "rain:0.7", got {number!r}'
            ) from error
        names.append(name)
    return tuple(names), tuple(levels)


def standard(spec: str) -> tuple[Compose, Tensor]:
    """The operator that tests and shows "rain" or "rain:0.7+noise:25", and its members' severities (1, M).

    Every member has severity 0.5, except noise, which is Gaussian of sigma 25, or the one behind its name: a severity
    in [0, 1]; above 1 the sigma of noise in 8-bit units, and libjpeg's quality of JPEG.

    Raises:
        ValueError: for an unknown name or a number out of range.
    """
    names, levels = split_levels(spec)
    noise, jpeg = Noise.gaussian(), Jpeg()
    known = {noise.name: noise, jpeg.name: jpeg}
    members = tuple(known.get(member.name, member) for member in parse("+".join(names)).members)
    severities = [_severity(member, level) for member, level in zip(members, levels, strict=True)]
    return Compose(members), torch.tensor([severities])


def drawn(spec: str, *key: int, severity: float | None = None) -> Drawn:
    """The standard degradation, fixed by the key, for example (seed, image number).

    Args:
        spec: "rain" or "rain:0.7+noise:25", see `standard`.
        key: of the randomness.
        severity: of every member in [0, 1]; that of the spec when not given.

    Raises:
        ValueError: for an unknown name, or a severity out of range.
    """
    operator, severities = standard(spec)
    if severity is not None:
        severities = torch.full_like(severities, severity)
    source = generator(*key)
    return Drawn(operator, operator.draw(1, source, severities), source)


def degrade(hq: Image, spec: str, *key: int, severity: float | None = None) -> Image:
    """hq (1, 3, H, W) under the standard degradation; see `drawn`."""
    return drawn(spec, *key, severity=severity).apply(hq)


def _severity(member: Degradation, level: float | None) -> float:
    """Of a member that stands in a spec with this number, or with none."""
    if level is None:
        return NOISE_SIGMA / member.max_sigma if isinstance(member, Noise) else MID_SEVERITY
    if 0 <= level <= 1:
        return level
    if isinstance(member, Noise | Jpeg):
        return member.severity(level)
    raise ValueError(f"{member.name}: expected a severity in [0, 1] behind its name, got {level:g}")
