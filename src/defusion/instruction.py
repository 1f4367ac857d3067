"""Visual instructions: a clean chart (the ground) and the same chart degraded as the picture is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from defusion.degradations.standard import Drawn, degrade
from defusion.grounds.chart import Chart
from defusion.random import generator
from defusion.types import Image

InstructionKind: TypeAlias = Literal["type-matched", "parameter-matched", "oracle"]
"""How the instruction of a picture in a test comes about: by the name of its degradation alone; by the very parameters
that degraded it, where they are known; or fitted to it and its reference (`defusion.oracle`)."""

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
        """The type-matched instruction of "rain", "rain+noise" or "clean" (null), at mid severity.

        Raises:
            ValueError: for an unknown name.
        """
        ground = chart.canonical()
        return cls(ground, ground if spec == NULL else degrade(ground, spec, seed, _CHART), spec)

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
    def of_pictures(cls, clean: Path | str, degraded: Path | str, size: int) -> "VisualInstruction":
        """Two pictures of one real chart, without and with the degradation, as square crops of `size` pixels."""
        return cls(Chart.from_picture(clean, size), Chart.from_picture(degraded, size), "shown")
