"""Scattered discs: one layer of a dead-leaves model, at the same cost whatever the number of discs.

A dead-leaves picture is scale-invariant when the radii follow r^-3, that is when every octave of
radii covers the same area (Lee, Mumford and Huang, 2001). So one layer is a lattice of some pitch
with one disc inside each cell, and halving the pitch gives the next octave. Discs of a layer never
overlap: a pixel tests the disc of its own cell only.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.grounds.canvas import Device, coordinates
from defusion.random import Generators, uniform
from defusion.types import Image

_LARGEST = 0.5
"""Radius of the largest disc of a layer, in pitches: it touches its cell."""


@dataclass(frozen=True)
class Spots:
    """For each pixel, the disc of its lattice cell; lengths in pitches, (n, 1, size, size) each."""

    dx: Tensor
    """Offset from the disc's centre."""
    dy: Tensor
    radius: Tensor
    traits: Tensor
    """(n, num_traits, size, size), one set a disc."""
    scale: float
    """Pixels a pitch."""

    def coverage(self, depth: Tensor) -> Tensor:
        """The share of each pixel inside a shape, from the depth inside its edge (negative outside)."""
        return (depth * self.scale).add_(0.5).clamp_(0, 1)


@dataclass(frozen=True)
class Layer:
    """Disjoint discs in the cells of a lattice that is turned and shifted at random."""

    pitch: float
    frame: Tensor
    """(n, 4, 1, 1): cosine and sine of the lattice's angle over its pitch, and its shifts in pitches."""
    table: Tensor
    """(n, 3 + num_traits, cells): radius and centre of each disc in pitches, then its traits."""

    @classmethod
    def draw(
        cls,
        n: int,
        count: int,
        pitch: float,
        smallest: float,
        num_draws: int,
        traits: Callable[[Tensor], Tensor],
        generators: Generators,
        device: Device,
    ) -> list["Layer"]:
        """Draws `count` layers of one pitch.

        Args:
            n: number of samples.
            count: number of layers.
            pitch: the lattice's pitch; a construct is 2 wide.
            smallest: the smallest radius, in pitches; the largest is one half.
            num_draws: uniform values in [0, 1) to draw for each disc.
            traits: what they give, (n, num_draws, discs) to (n, num_traits, discs): colour, orientation, ...
            generators: on `device`.
            device: where to draw.
        """
        side = _cells(pitch)
        angle, left, top = uniform(n, (3, count, 1, 1), generators, device=device).unbind(1)
        angle = 2 * math.pi * angle
        frame = torch.stack([angle.cos() / pitch, angle.sin() / pitch, left + side // 2, top + side // 2], dim=1)
        draws = uniform(n, (3 + num_draws, count * side * side), generators, device=device)
        radius = (smallest**-2 - (smallest**-2 - _LARGEST**-2) * draws[:, :1]).rsqrt()
        cell = torch.arange(side * side, device=device).repeat(count)
        corner = torch.stack([cell % side, cell // side])
        centre = corner + radius + (1 - 2 * radius) * draws[:, 1:3]
        table = torch.cat([radius, centre, traits(draws[:, 3:])], dim=1)
        tables = table.split_with_sizes([side * side] * count, dim=2)
        return [cls(pitch, *parts) for parts in zip(frame.unbind(2), tables, strict=True)]

    def at(self, size: int) -> Spots:
        """The discs seen by the pixels of a square of `size`."""
        n, values, _ = self.table.shape
        x, y = coordinates(size, self.table.device)
        cosine, sine, left, top = self.frame.unbind(1)
        across = (x * cosine + left) + y * sine
        down = (top - x * sine) + y * cosine
        cell = torch.add(across.floor(), down.floor(), alpha=_cells(self.pitch)).long()
        found = self.table.gather(2, cell.view(n, 1, -1).expand(-1, values, -1)).view(n, values, size, size)
        dx, dy = across[:, None] - found[:, 1:2], down[:, None] - found[:, 2:3]
        return Spots(dx, dy, found[:, :1], found[:, 3:], self.pitch * size / 2)


def _cells(pitch: float) -> int:
    """Lattice cells along a side that reach over the diagonal at every angle and shift."""
    return 2 * math.ceil(math.sqrt(2) / pitch) + 3


def front_to_back(layers: Iterable[tuple[Tensor, Image]], background: Image) -> Image:
    """Composites layers of (coverage (n, 1, H, W), colour (n, 3, H, W)), the nearest first."""
    picture, clear = torch.zeros_like(background), torch.ones_like(background[:, :1])
    for coverage, colour in layers:
        weight = clear * coverage
        picture.addcmul_(weight, colour)
        clear = clear - weight
    return picture.addcmul_(clear, background)
