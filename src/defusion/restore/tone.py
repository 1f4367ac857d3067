"""One tone over all tiles, of networks that look at the whole of what they are given."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from defusion.types import Image

_CELLS = 32
"""Along the longer side of a picture: what varies more slowly is tone."""


def toned(degradation: Tensor, lq: Image, whole: Callable[[Image], Tensor], side: int) -> Tensor:
    """A degradation that was predicted tile by tile, with the tone of one that was predicted from the reduced whole.

    With self-attention each tile is judged by itself, and haze or darkness would end at its border. A pass over the
    picture at the size of a tile sees all of it; its means over 32 cells along the longer side replace those of the
    tiles, detail stays theirs.

    Args:
        degradation: of the tiles, (B, 3, H, W).
        lq: the pictures, (B, 3, H, W).
        whole: predicts the degradation of pictures no larger than a tile.
        side: of a tile, in pixels.

    Returns:
        (B, 3, H, W).
    """
    height, width = lq.shape[-2:]
    longer = max(height, width)
    reduced, cells = (
        (max(1, round(height * count / longer)), max(1, round(width * count / longer))) for count in (side, _CELLS)
    )
    seen = whole(F.interpolate(lq, reduced, mode="bilinear", antialias=True).clamp(0, 1))
    difference = F.adaptive_avg_pool2d(seen, cells) - F.adaptive_avg_pool2d(degradation, cells)
    return degradation + F.interpolate(difference, (height, width), mode="bilinear", align_corners=False)
