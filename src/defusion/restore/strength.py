"""How much of each degradation is removed: one number, or one a degradation."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from defusion.degradations.standard import split_levels

Strength: TypeAlias = float | Mapping[str, float]
"""0 leaves the picture as it is, 1 removes what is shown; or one number a degradation, all of those shown."""


@dataclass(frozen=True)
class Share:
    """A part of the instruction, "rain+noise", and by what its degradation is multiplied; "" is the whole of it."""

    spec: str
    weight: float


def shares(spec: str, strength: Strength) -> list[Share]:
    """What a graded restoration is made of: lq minus the sum of weight * degradation(spec).

    One number scales the degradation that is predicted, which is truer than interpolating the instruction's tokens
    (tests/restore/test_strength.py measures both). With one a degradation, the strongest is removed first and the
    others join it one by one: for strengths s_1 >= s_2 >= ... it is the sum over k of (s_k - s_k+1) times the
    degradation of the k strongest (Lovász's extension of what the network says of subsets). Equal strengths are one
    number, and no strength leaves its degradation in.

    Args:
        spec: what is shown by name, "rain:0.7+noise:25".
        strength: see `Strength`.

    Raises:
        ValueError: for strengths outside [0, 1], or of other degradations than those shown.
    """
    if not isinstance(strength, Mapping):
        return [Share("", _checked("strength", strength))]
    names, _ = split_levels(spec)
    if set(strength) != set(names):
        raise ValueError(f"strength: expected one for each of {', '.join(names)}, got {', '.join(strength) or 'none'}")
    parts = dict(zip(names, spec.split("+"), strict=True))
    ordered = sorted(names, key=lambda name: -_checked(f"strength of {name}", strength[name]))
    levels = [*(strength[name] for name in ordered), 0.0]
    found = []
    for number, (own, following) in enumerate(pairwise(levels), start=1):
        if own > following:
            strongest = set(ordered[:number])
            found.append(Share("+".join(parts[name] for name in names if name in strongest), own - following))
    return found


def _checked(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
    return value
