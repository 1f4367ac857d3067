"""Grounds: charts of four constructs, drawn, fixed, or taken from a picture of a real chart."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image as PillowImage
from PIL import ImageOps

from defusion.grounds.canvas import Construct, Device, coordinates, square_wave
from defusion.grounds.colours import colour_checker
from defusion.grounds.concentric import siemens_star
from defusion.grounds.constructs import GROUPS
from defusion.grounds.natural import foliage
from defusion.grounds.random_textures import dead_leaves
from defusion.imageio import read_image
from defusion.random import Generators, generator, integers, take, uniform
from defusion.sheets import Cell, contact_sheet
from defusion.types import GroundKind, Image

MIN_SIZE = 16
_CANONICAL: tuple[Construct, ...] = (siemens_star, dead_leaves, foliage, colour_checker)
_CANONICAL_SEED = 12503
"""Chosen by eye: a black and white star of 16 cycles, green leaves, the colour checker upright."""
_STRIPES = 8


@dataclass(frozen=True)
class Chart:
    """The ground of a visual instruction: one construct of each group in 2x2 square cells (paper, section 1).

    Attributes:
        size: pixels along a side; even, at least 16.
        kind: "te42" for the four constructs; "blank" (mid grey) and "striped" (vertical black and
            white stripes) are the grounds of the paper's ablation, the same for every sample.

    Raises:
        ValueError: when the size is odd or below 16, or the kind unknown.
    """

    size: int = 128
    kind: GroundKind = "te42"

    def __post_init__(self) -> None:
        if self.kind not in get_args(GroundKind):
            raise ValueError(f'kind: expected "te42", "blank" or "striped", got {self.kind!r}')
        _check_size(self.size)

    def draw(self, n: int, generators: Generators, device: Device = "cpu") -> Image:
        """Draws `n` charts, constructs and the order of the cells at random.

        Args:
            n: number of charts.
            generators: on `device`, one for the batch or one a chart.
            device: where to draw.

        Returns:
            (n, 3, size, size) in [0, 1].
        """
        if self.kind != "te42":
            return self._plain(device).repeat(n, 1, 1, 1)
        side = self.size // 2
        cells = torch.empty((n, len(GROUPS), 3, side, side), device=device)
        positions = uniform(n, (len(GROUPS),), generators, device=device).argsort(1).cpu()
        for group, constructs in enumerate(GROUPS.values()):
            choices = integers(n, (), generators, len(constructs), device=device).cpu()
            for choice in sorted(set(choices.tolist())):
                rows = (choices == choice).nonzero()[:, 0]
                drawn = constructs[choice](len(rows), side, take(generators, rows), device)
                cells[rows, positions[rows, group]] = drawn
        return _joined(cells)

    def canonical(self, device: Device = "cpu") -> Image:
        """The one fixed ground for inference, (1, 3, size, size), the same at every size and device."""
        if self.kind != "te42":
            return self._plain(device)
        own = [generator(_CANONICAL_SEED, cell) for cell in range(len(_CANONICAL))]
        cells = [
            construct(1, self.size // 2, [source], "cpu") for construct, source in zip(_CANONICAL, own, strict=True)
        ]
        return _joined(torch.stack(cells, dim=1)).to(device)

    @staticmethod
    def from_picture(path: str | Path, size: int) -> Image:
        """A picture of a real chart as a ground: turned upright (EXIF), its centre square, area-averaged.

        Args:
            path: any picture that Pillow reads; its shorter side at least `size`.
            size: pixels along a side; even, at least 16.

        Returns:
            (1, 3, size, size) in [0, 1].

        Raises:
            FileNotFoundError: when there is no such file.
            ValueError: when the file is not a picture, is too small, or the size is not allowed.
        """
        _check_size(size)
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: expected a picture of a chart, found no such file")
        picture = PillowImage.fromarray(read_image(path))
        side = min(picture.size)
        if side < size:
            raise ValueError(
                f"{path}: expected at least {size}x{size} pixels, got {picture.width}x{picture.height}; "
                "give a larger picture or a smaller size"
            )
        fitted = ImageOps.fit(picture, (size, size), PillowImage.Resampling.BOX)
        return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 255

    def _plain(self, device: Device) -> Image:
        if self.kind == "blank":
            return torch.full((1, 3, self.size, self.size), 0.5, device=device)
        x, _ = coordinates(self.size, device)
        width = torch.tensor(_STRIPES / self.size, device=device)
        stripes = 0.5 + 0.5 * square_wave((x + 1) * (_STRIPES / 2), width)
        return stripes.expand(1, 3, self.size, self.size).contiguous()


def sheet(size: int = 256, seed: int = 0) -> PillowImage.Image:
    """The whole pool as a labelled contact sheet: one row a group, then the canonical and other grounds.

    Args:
        size: pixels along a side of each picture; even, at least 16.
        seed: of the random parameters.
    """
    rows = [
        [
            Cell(construct(1, size, generator(seed, row, column), "cpu")[0], f"{group}: {construct.__name__}")
            for column, construct in enumerate(constructs)
        ]
        for row, (group, constructs) in enumerate(GROUPS.items())
    ]
    chart = Chart(size)
    grounds = {
        "ground: canonical": chart.canonical(),
        "ground: drawn": chart.draw(1, generator(seed, 0)),
        "ground: drawn again": chart.draw(1, generator(seed, 1)),
        "ground: blank": Chart(size, "blank").canonical(),
        "ground: striped": Chart(size, "striped").canonical(),
    }
    rows.append([Cell(picture[0], label) for label, picture in grounds.items()])
    return contact_sheet(rows, size)


def _joined(cells: torch.Tensor) -> Image:
    """Four cells (n, 4, 3, s, s) as one picture (n, 3, 2s, 2s), row by row."""
    n, _, channels, side, _ = cells.shape
    grid = cells.view(n, 2, 2, channels, side, side).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(n, channels, 2 * side, 2 * side)


def _check_size(size: int) -> None:
    if size < MIN_SIZE or size % 2:
        raise ValueError(f"size: expected an even number of pixels, at least {MIN_SIZE}, got {size}")
