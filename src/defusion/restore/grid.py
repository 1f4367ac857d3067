"""A picture of what strength and sampling steps do."""

from collections.abc import Sequence

from PIL import Image as PillowImage
from torch import Tensor

from defusion.restore.batch import middle_of
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
    rows = []
    for count in steps:
        whole = restorer(lq, instruction, steps=count, seed=seed)  # of which strength takes a part
        before, removed = middle_of(whole.lq, size), middle_of(whole.degradation, size)
        labels = [f"{count} step{'s' if count > 1 else ''}, strength {own:g}" for own in strengths]
        cells = [
            Cell((before - own * removed).clamp(0, 1), label) for own, label in zip(strengths, labels, strict=True)
        ]
        rows.append(cells)
    return contact_sheet(rows, size)
