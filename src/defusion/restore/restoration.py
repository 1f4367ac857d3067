"""The result of a restoration."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image as PillowImage
from torch import Tensor

from defusion.imageio import Picture, to_uint8, write_png
from defusion.instruction import VisualInstruction


@dataclass(frozen=True)
class Restoration:
    """Restored pictures and what was removed from them; (3, H, W) of one picture, (B, 3, H, W) of a batch.

    Attributes:
        lq: the pictures as they came, in [0, 1], float32, on the CPU.
        degradation: what was removed, lq - T_v(lq) (the paper's y_0, Eq. 9) times its strength; not clipped.
        instructions: what the model was shown: one, or one a picture of a batch where it described them itself.
        uncertainty: standard deviation over samples of what was removed, the same shape; None unless asked for.
    """

    lq: Tensor
    degradation: Tensor
    instructions: tuple[VisualInstruction, ...]
    uncertainty: Tensor | None = None

    @property
    def instruction(self) -> VisualInstruction:
        """What the model was shown; of several, for the first picture."""
        return self.instructions[0]

    @cached_property
    def image(self) -> Tensor:
        """The restored pictures, in [0, 1]."""
        return (self.lq - self.degradation).clamp(0, 1)

    def numpy(self) -> Picture:
        """One restored picture as uint8 (H, W, 3)."""
        return to_uint8(self.image)

    def pil(self) -> PillowImage.Image:
        """One restored picture as Pillow's."""
        return PillowImage.fromarray(self.numpy())

    def save(self, path: Path | str) -> None:
        """Writes one restored picture as a PNG, whole or not at all."""
        write_png(path, self.image)
