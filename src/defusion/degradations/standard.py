"""The fixed test of each degradation: one operator, one severity, one seed; for measuring and for showing."""

import torch
from torch import Tensor

from defusion.degradations.library import Compose, parse
from defusion.degradations.noise import Noise
from defusion.random import generator
from defusion.types import Image

MID_SEVERITY = 0.5

NOISE_SIGMA = 25.0
"""8-bit units: "noise" is tested as additive white Gaussian noise, the protocol of CBSD68."""


def standard(spec: str) -> tuple[Compose, Tensor]:
    """The operator that tests and shows "rain" or "rain+noise", and its members' severities (1, M).

    Every member has severity 0.5, except noise, which is Gaussian of sigma 25.

    Raises:
        ValueError: for an unknown name.
    """
    noise = Noise.gaussian()
    members = tuple(noise if member.name == noise.name else member for member in parse(spec).members)
    severities = [NOISE_SIGMA / noise.max_sigma if member is noise else MID_SEVERITY for member in members]
    return Compose(members), torch.tensor([severities])


def degrade(hq: Image, spec: str, *key: int, severity: float | None = None) -> Image:
    """hq (1, 3, H, W) under the standard degradation, fixed by the key, for example (seed, image number).

    Args:
        hq: the clean picture.
        spec: "rain" or "rain+noise".
        key: of the randomness.
        severity: of every member in [0, 1]; that of the standard test when not given.
    """
    operator, severities = standard(spec)
    if severity is not None:
        severities = torch.full_like(severities, severity)
    draw = generator(*key)
    return operator.apply(hq, operator.draw(1, draw, severities), draw)
