"""Visual instructions: a clean chart (the ground) and the same chart degraded as the picture is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from defusion.degradations.base import Degradation
from defusion.degradations.standard import MID_SEVERITY, Drawn, degrade, split_levels
from defusion.grounds.chart import Chart
from defusion.random import generator
from defusion.types import Image

InstructionKind: TypeAlias = Literal["type-matched", "parameter-matched", "oracle", "auto"]
"""How the instruction of a picture in a test comes about: by the name of its degradation alone; by the very parameters
that degraded it, where they are known; fitted to it and its reference (`defusion.oracle`); or by what the model itself
takes for wrong with it (`defusion.describer`)."""

NULL = "clean"
"""The name of the null instruction: the clean chart, which asks for nothing."""

_CHART = 0xC4A27
"""Part of the key of a chart's randomness, so that no picture of the same seed shares it."""


@dataclass(frozen=True)
class VisualInstruction:
    """What to remove, shown rather than named (paper, section 3).

    Attributes:
        ground: the clean chart, (1, 3, Hv, Wv).
        picture: the same chart, degraded, the same shape.
        shown: the degradations it shows, joined by "+", as far as they are known.
    """

    ground: Image
    picture: Image
    shown: str

    def __post_init__(self) -> None:
        if self.ground.shape != self.picture.shape:
            raise ValueError(
                "picture: expected the ground's shape "
                f"{tuple(self.ground.shape)}, got {tuple(self.picture.shape)}: show the whole chart at one size"
            )

    @classmethod
    def named(cls, spec: str, chart: Chart, seed: int = 0) -> "VisualInstruction":
        """The instruction of "rain", "rain:0.7+noise:25" or "clean" (null), at mid severity where none is given.

        Raises:
            ValueError: for an unknown name or a number out of range, see `defusion.degradations.standard.standard`.
        """
        ground = chart.canonical()
        if spec == NULL:
            return cls(ground, ground, NULL)
        return cls(ground, degrade(ground, spec, seed, _CHART), "+".join(split_levels(spec)[0]))

    @classmethod
    def parameter_matched(cls, degradation: Drawn, chart: Chart, *key: int) -> "VisualInstruction":
        """The canonical chart under the very parameters of a picture, with spatial fields of its own.

        Args:
            degradation: of the picture.
            chart: the ground.
            key: of the chart's fields, for example (seed, image number).
        """
        ground = chart.canonical()
        return cls(ground, degradation.apply(ground, generator(*key, _CHART)), degradation.operator.name)

    @classmethod
    def by_operator(cls, operator: Degradation, chart: Chart, seed: int = 0) -> "VisualInstruction":
        """The canonical chart under an operator at mid severity, its parameters drawn from the seed."""
        ground, draw = chart.canonical(), generator(seed, _CHART)
        return cls(ground, operator(ground, draw, torch.full((1,), MID_SEVERITY)), operator.name)

    @classmethod
    def of_pictures(cls, clean: Path | str, degraded: Path | str, size: int) -> "VisualInstruction":
        """Two pictures of one real chart, without and with the degradation, as square crops of `size` pixels."""
        return cls(Chart.from_picture(clean, size), Chart.from_picture(degraded, size), "shown")
