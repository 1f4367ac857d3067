"""The chart on paper: a page with fiducials in its corners, as a picture and as a PDF."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from defusion.files import replacing
from defusion.grounds.chart import Chart
from defusion.imageio import Picture, to_uint8

MARKERS = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
"""The fiducials: ArUco's smallest (Garrido-Jurado et al., 2014), numbers 0 to 3, clockwise from the top left."""

GAP, SIDE = 4 / 16, 12 / 16
"""Between chart and fiducials, and of these, in sides of the chart: whole pixels of charts that are multiples of 16."""

QUIET = 2 / 16
"""White around a fiducial, likewise: it is found by its contrast to it."""

_MODULES = 6
_PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
_MARGIN = 8.0
_INCH = 25.4
_WORDS = (
    "Defusion test chart, {size} px, {kind}. Photograph this page under what is to be removed, in the same picture",
    "or from the same place, so that the chart is about {size} pixels wide and the page {page}; and once without it.",
    "defusion chart --read photo.jpg --out shown; defusion restore ... --chart shown/ground.png shown/instruction.png",
)


@dataclass(frozen=True)
class Sheet:
    """Chart and fiducials, in units of the chart's side from its top left corner.

    Attributes:
        chart: what is printed.
    """

    chart: Chart

    @property
    def origin(self) -> float:
        """How far all that is printed reaches beyond the chart, on each side."""
        return GAP + SIDE + QUIET

    def share(self, paper: str) -> float:
        """Of the width of a page of this paper, that of the chart on it."""
        width, _ = _PAPERS[paper]
        return (width - 2 * _MARGIN) / width / (1 + 2 * self.origin)

    def corners(self) -> NDArray[np.float32]:
        """Of the fiducials, (4, 4, 2): number, corner clockwise from its top left, (x, y)."""
        low, high = -(GAP + SIDE), 1 + GAP
        square = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)])
        starts = np.array([(low, low), (high, low), (high, high), (low, high)])
        return (starts[:, None] + square).astype(np.float32)

    def draw(self, side: int) -> Picture:
        """The sheet, `side` pixels to a chart, whose own pixels are squares on it; uint8 (N, N, 3).

        The very chart that weights know is printed, not one drawn finer, of whose detail a camera would see others.
        Around it the sheet continues it by reflection, as blur, drops and streaks see a drawn chart at its border.

        Args:
            side: best a multiple of the chart's size.
        """
        margin = round(self.origin * side)
        around = math.ceil(self.origin * self.chart.size)
        cells = np.pad(to_uint8(self.chart.canonical()[0]), ((around, around), (around, around), (0, 0)), "reflect")
        length = round(cells.shape[0] * side / self.chart.size)
        start = round(around * side / self.chart.size) - margin
        page = cv2.resize(cells, (length, length), interpolation=cv2.INTER_NEAREST)
        page = np.ascontiguousarray(page[start : start + side + 2 * margin, start : start + side + 2 * margin])
        white, edge = round(QUIET * side), round(SIDE * side)
        modules = max(1, edge // _MODULES)
        for number, corner in enumerate(self.corners()[:, 0]):
            left, top = (margin + round(float(own) * side) for own in corner)
            page[max(0, top - white) : top + edge + white, max(0, left - white) : left + edge + white] = 255
            marker = cv2.aruco.generateImageMarker(MARKERS, number, _MODULES * modules)
            fitted = cv2.resize(marker, (edge, edge), interpolation=cv2.INTER_AREA)
            page[top : top + edge, left : left + edge] = fitted[..., None]
        return np.asarray(page, np.uint8)


def print_chart(path: Path | str, chart: Chart, paper: str = "a4", dpi: int = 300) -> None:
    """Writes a page to be printed, as PDF.

    Args:
        path: ends in ".pdf".
        chart: what is printed: the one that the weights know.
        paper: "a4" or "letter", upright.
        dpi: of the print.

    Raises:
        ValueError: for another suffix or paper.
    """
    path = Path(path)
    if path.suffix.lower() != ".pdf":
        raise ValueError(f"path: expected a name ending in .pdf, got {path}")
    if paper not in _PAPERS:
        raise ValueError(f"paper: expected {' or '.join(_PAPERS)}, got {paper!r}")
    width, height = (round(own / _INCH * dpi) for own in _PAPERS[paper])
    margin = round(_MARGIN / _INCH * dpi)
    sheet = Sheet(chart)
    side = int((width - 2 * margin) / (1 + 2 * sheet.origin))
    side -= side % chart.size
    drawn = Image.fromarray(sheet.draw(side))
    page = Image.new("RGB", (width, height), "white")
    page.paste(drawn, ((width - drawn.width) // 2, margin))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=dpi / 8)
    for number, line in enumerate(_WORDS):
        text = line.format(size=chart.size, kind=chart.kind, page=round(chart.size / sheet.share(paper)))
        pen.text((margin, 2 * margin + drawn.height + number * dpi / 5), text, fill=(90, 90, 90), font=font)
    with replacing(path) as partial:
        page.save(partial, "PDF", resolution=dpi, quality=98, subsampling=0)
