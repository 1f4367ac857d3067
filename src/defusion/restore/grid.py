"""A picture of what strength and sampling steps do."""

from collections.abc import Sequence

from PIL import Image as PillowImage
from torch import Tensor

from defusion.restore.restorer import Instruction, Restorer
from defusion.sheets import Cell, contact_sheet

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = (1, 2, 4)


def strength_grid(
    restorer: Restorer,
    lq: Tensor,
    instruction: Instruction,
    strengths: Sequence[float] = STRENGTHS,
    steps: Sequence[int] = STEPS,
    seed: int = 0,
    size: int = 256,
) -> PillowImage.Image:
    """The middle of a picture, a row a number of steps, a column a strength.

    Args:
        restorer: the model.
        lq: (3, H, W) in [0, 1].
        instruction: what is removed.
        strengths: in [0, 1].
        steps: network evaluations.
        seed: of the noise.
        size: side of a cell, in px.
    """
    top, left = (max(0, (side - size) // 2) for side in lq.shape[1:])
    rows = []
    for count in steps:
        whole = restorer(lq, instruction, steps=count, seed=seed)  # of which strength takes a part
        parts = [(whole.lq - own * whole.degradation).clamp(0, 1) for own in strengths]
        labels = [f"{count} step{'s' if count > 1 else ''}, strength {own:g}" for own in strengths]
        rows.append(
            [
                Cell(part[:, top : top + size, left : left + size], label)
                for part, label in zip(parts, labels, strict=True)
            ]
        )
    return contact_sheet(rows, size)
