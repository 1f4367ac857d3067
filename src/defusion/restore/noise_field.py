"""Noise without end, known at any place of a picture: tiles that overlap see the same noise where they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from defusion.random import Normals, generator
from defusion.restore.tiling import Window

_BLOCK = 64


@dataclass(frozen=True)
class NoiseField:
    """Standard normal values at every pixel of a plane, made in blocks when they are asked for.

    Attributes:
        key: of the randomness: the same key gives the same field.
    """

    key: tuple[int, ...]

    def at(self, number: int, window: Window, channels: int = 3) -> Tensor:
        """The field's draw of that number in a window, (channels, height, width)."""
        first_row, first_column = window.top // _BLOCK, window.left // _BLOCK
        last_row, last_column = (window.bottom - 1) // _BLOCK, (window.right - 1) // _BLOCK
        rows = [
            torch.cat(
                [self._block(number, row, column, channels) for column in range(first_column, last_column + 1)], dim=2
            )
            for row in range(first_row, last_row + 1)
        ]
        top, left = window.top - first_row * _BLOCK, window.left - first_column * _BLOCK
        return torch.cat(rows, dim=1)[:, top : top + window.height, left : left + window.width]

    def _block(self, number: int, row: int, column: int, channels: int) -> Tensor:
        return torch.randn((channels, _BLOCK, _BLOCK), generator=generator(*self.key, number, row, column))


def normals_at(
    fields: Sequence[NoiseField], windows: Sequence[Window], device: torch.device, patch: int = 1
) -> Normals:
    """Draws of each tile's own field in its window, one number after the other; what is padded there goes on in it.

    Args:
        fields: of each tile.
        windows: of each tile, in pixels.
        device: of the draws.
        patch: pixels along a side that one value stands for: of a latent space.
    """
    numbers = count()

    def draw(shape: Sequence[int]) -> Tensor:
        number = next(numbers)
        padded = [Window(own.top // patch, own.left // patch, shape[2], shape[3]) for own in windows]
        tiles = [field.at(number, own, shape[1]) for field, own in zip(fields, padded, strict=True)]
        return torch.stack(tiles).to(device)

    return draw
