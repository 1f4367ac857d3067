"""Contact sheets: labelled rows of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from torch import Tensor

from defusion.imageio import to_uint8

GAP = 8
_FONT_SIZES = (14, 12, 10)
LINE = 22
INK, PAPER = (32, 32, 32), (255, 255, 255)


@dataclass(frozen=True)
class Cell:
    """One picture (3, H, W) in [0, 1], and what stands above it."""

    picture: Tensor
    label: str


def contact_sheet(rows: Sequence[Sequence[Cell]], size: int = 256) -> Picture.Image:
    """Draws rows of square cells.

    Larger pictures are cut at the centre, not resampled, so that noise and blur look as they are;
    smaller ones are enlarged until they fill the cell.

    Args:
        rows: cells from top to bottom, left to right; rows may differ in length.
        size: side of a cell in px.
    """
    if not rows or not all(rows):
        raise ValueError("rows: expected at least one row, and a cell in each")
    columns = max(map(len, rows))
    sheet = Picture.new("RGB", (GAP + columns * (size + GAP), GAP + len(rows) * (LINE + size + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            left, top = GAP + across * (size + GAP), GAP + down * (LINE + size + GAP)
            label, font = _fitted(cell.label, size)
            pen.text((left, top + LINE / 2), label, fill=INK, font=font, anchor="lm")
            sheet.paste(_square(cell.picture, size), (left, top + LINE))
    return sheet


def _fitted(label: str, width: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """A label no wider than its cell, and its font: a smaller one where need be; what is still too long is cut."""
    for size in _FONT_SIZES:
        font = ImageFont.load_default(size=size)
        if font.getlength(label) <= width:
            return label, font
    while label and font.getlength(f"{label}...") > width:
        label = label[:-1]
    return f"{label}...", font


def _square(picture: Tensor, size: int) -> Picture.Image:
    whole = Picture.fromarray(to_uint8(picture))
    side = min(size, *whole.size)
    left, top = ((length - side) // 2 for length in whole.size)
    return whole.crop((left, top, left + side, top + side)).resize((size, size), Picture.Resampling.BICUBIC)
