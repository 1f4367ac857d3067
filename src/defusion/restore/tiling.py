"""Large pictures in overlapping tiles, blended smoothly: the whole never lies on the device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row below the last."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column behind the last."""
        return self.left + self.width

    def of(self, picture: Tensor) -> Tensor:
        """The part of (..., H, W)."""
        return picture[..., self.top : self.bottom, self.left : self.right]


Group: TypeAlias = list[tuple[int, Window]]
"""Tiles of equal size that are processed at once: the row of each one's picture, and its place in it."""

Watch: TypeAlias = Callable[[list[Group]], Iterable[Group]]
"""Shows the way through the groups of a picture's tiles."""


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut.

    Attributes:
        size: largest side of a tile, in pixels; a multiple of `multiple`, at least three times the overlap.
        overlap: pixels that neighbours share; a multiple of `multiple`.
        multiple: of what tiles begin at: a network's stride, so that its grids agree.

    Raises:
        ValueError: for sizes that do not fit.
    """

    size: int
    overlap: int = 64
    multiple: int = 8

    def __post_init__(self) -> None:
        if self.size % self.multiple or self.overlap % self.multiple:
            raise ValueError(
                f"size, overlap: expected multiples of the network's stride {self.multiple}, "
                f"got {self.size} and {self.overlap}"
            )
        if self.size < 3 * self.overlap:  # or a tile's ramps meet
            raise ValueError(f"size: expected at least three times the overlap of {self.overlap}, got {self.size}")

    def windows(self, height: int, width: int) -> list[Window]:
        """The tiles of a picture, row by row; a single one where it is small enough."""
        return [
            Window(top, left, bottom - top, right - left)
            for top, bottom in self._spans(height)
            for left, right in self._spans(width)
        ]

    def _spans(self, length: int) -> list[tuple[int, int]]:
        """Starts and ends along one side: all begin at the multiple, and neighbours share exactly the overlap."""
        if length <= self.size:
            return [(0, length)]
        count = -(-(length - self.overlap) // (self.size - self.overlap))
        step = -(-(length - self.overlap) // count)
        step += -step % self.multiple
        starts = range(0, length - self.overlap, step)
        return [(start, min(start + step + self.overlap, length)) for start in starts]

    def weights(self, window: Window, height: int, width: int) -> Tensor:
        """What a tile counts at each of its pixels, (h, w) in [0, 1]; over all tiles they add up to 1."""
        rows = self._ramps(window.top > 0, window.bottom < height, window.height)
        columns = self._ramps(window.left > 0, window.right < width, window.width)
        return rows[:, None] * columns

    def _ramps(self, before: bool, after: bool, length: int) -> Tensor:
        """1, but where a neighbour is, over the overlap: nothing in its outer quarter, then a smooth ramp to 1."""
        place = (torch.arange(self.overlap) + 0.5) / self.overlap
        up = torch.sin(0.5 * torch.pi * (2 * place - 0.5).clamp(0, 1)).square()
        weights = torch.ones(length)
        if before:
            weights[: self.overlap] = up
        if after:
            weights[-self.overlap :] = up.flip(0)
        return weights


def blended(
    pictures: Tensor,
    tiling: Tiling,
    process: Callable[[Tensor, Sequence[int], Sequence[Window]], Tensor],
    batch: int = 1,
    watch: Watch = iter,
) -> Tensor:
    """Processes pictures tile by tile.

    Args:
        pictures: (B, 3, H, W), on the CPU.
        tiling: how they are cut.
        process: tiles (n, 3, h, w) of equal size, the row in `pictures` and the window of each -> (n, 3, h, w), on the
            CPU.
        batch: most tiles at once.
        watch: shows the way through the groups of tiles.

    Returns:
        The processed pictures, (B, 3, H, W), float32.
    """
    height, width = pictures.shape[-2:]
    windows = tiling.windows(height, width)
    groups = list(_groups([(row, window) for row in range(len(pictures)) for window in windows], batch))
    result = torch.zeros(pictures.shape)
    for group in watch(groups):
        rows, own = [row for row, _ in group], [window for _, window in group]
        tiles = torch.stack([window.of(pictures[row]) for row, window in zip(rows, own, strict=True)])
        for row, window, tile in zip(rows, own, process(tiles, rows, own).float(), strict=True):
            if len(windows) == 1:
                result[row] = tile
            else:
                window.of(result[row]).add_(tile * tiling.weights(window, height, width))
    return result


def _groups(tiles: Group, batch: int) -> Iterator[Group]:
    """Up to `batch` tiles of one size that follow each other."""
    for _, alike in groupby(tiles, key=lambda tile: (tile[1].height, tile[1].width)):
        own = list(alike)
        yield from (own[start : start + batch] for start in range(0, len(own), batch))
