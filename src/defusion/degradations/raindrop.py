"""Raindrops on the glass before the lens."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import Range, between, by_severity, enlarge
from defusion.random import Generators, uniform
from defusion.types import Image, Params

_NUM_SIZES = 3
_GRIDS = ((0, 1.0), (0, 1.0), (1, 0.6), (2, 0.4))
"""Grids of cells that lie on each other: (size of the drops, how often a cell holds one)."""
_ROOM = 3.0
"""Width of a cell over the radius of the largest drop in it: a drop and its jitter stay inside."""
_ELONGATION = 0.2
"""A drop is up to so much higher than wide."""
_BEND = 0.3
"""Largest relative change of the squared radius along an outline."""
_DEFOCUS = 8
"""The background in a drop is seen minified and blurred: pixels averaged to one."""


@dataclass(frozen=True)
class Raindrop(Degradation):
    """Drops on glass: `y = (1 - m) x + m drop(x)`, m the soft, irregular mask of the drops.

    A drop is a lens which shows the inverted, wide-angle, defocused background (Qian et al., CVPR
    2018; Garg and Nayar, IJCV 2007): brighter at its bottom, where the sky is seen, and darker at
    its rim. The glass is divided into grids of cells of three sizes, each cell of which holds a
    drop, in random place, or none. Ranges of strengths run from severity 0 to severity 1.

    Attributes:
        radius: of the drops, pixels, log-uniform.
        presence: probability that a cell for the smallest drops holds one; less for larger drops.
        reach: how far from the drop lies the background seen at its rim, pixels.
        softness: height of the water at which a drop is wholly seen, pixels: the farther out of focus
            the glass, the softer the rim.
        opacity: of a drop.
        shading: how much brighter the bottom of a drop is and how much darker its top.
        rim: how much darker the rim is.
    """

    radius: Range = (4.0, 24.0)
    presence: Range = (0.0, 1.0)
    reach: Range = (30.0, 90.0)
    softness: Range = (3.0, 10.0)
    opacity: Range = (0.75, 1.0)
    shading: Range = (0.2, 0.6)
    rim: Range = (0.0, 0.4)

    name = "raindrop"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (6,), generators).unbind(1)
        return {
            "severity": severity,
            "presence": by_severity(severity, unit[0], self.presence),
            "reach": between(unit[1], self.reach),
            "softness": between(unit[2], self.softness),
            "opacity": between(unit[3], self.opacity),
            "shading": between(unit[4], self.shading),
            "rim": between(unit[5], self.rim),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = x.float()
        own = {name: per_sample(value, picture) for name, value in params.items()}
        down, across, mask = self._drops(picture, own, generators)
        bulge = down**2 + across**2
        drops = _refract(picture, own["reach"] * (1 + bulge), down, across)
        drops *= 1 + own["shading"] * down - own["rim"] * bulge**2
        return torch.lerp(picture, drops.clamp_(0, 1), own["opacity"] * mask).to(x.dtype)

    def _drops(self, x: Tensor, own: Params, generators: Generators) -> tuple[Tensor, Tensor, Tensor]:
        """For each pixel its place in its drop, in radii down and across, and the mask: 3 x (n, 1, H, W)."""
        n, size = len(x), (x.shape[-2], x.shape[-1])
        outline = 1 + _BEND * _roughness(n, size, generators, x.device)
        down, across, mask = torch.zeros(3, n, 1, *size, device=x.device)
        smallest, growth = self.radius[0], (self.radius[1] / self.radius[0]) ** (1 / _NUM_SIZES)
        for index, (step, share) in enumerate(_GRIDS):
            bounds = (smallest * growth**step, smallest * growth ** (step + 1))
            offset = index / len(_GRIDS)
            v, u, radius = _grid(size, bounds, offset, share * own["presence"], generators)
            dome = radius * (1 - (u**2 + v**2) * outline)  # the height of the water, pixels
            cover = (dome / own["softness"]).clamp_(0, 1)
            nearer = cover > mask
            down, across = torch.where(nearer, v, down), torch.where(nearer, u, across)
            mask = torch.maximum(mask, cover)
        return down.clamp_(-1, 1), across.clamp_(-1, 1), mask * mask * (3 - 2 * mask)


def _grid(
    size: tuple[int, int], bounds: Range, offset: float, presence: Tensor, generators: Generators
) -> tuple[Tensor, Tensor, Tensor]:
    """One grid of cells: place in the cell's drop in radii, down and across, and the radius, by pixel."""
    cell = math.ceil(_ROOM * bounds[1])
    shift = int(offset * cell)
    rows, columns = ((torch.arange(length, device=presence.device) + shift) // cell for length in size)
    shape = (5, int(rows[-1]) + 1, int(columns[-1]) + 1)
    unit = uniform(len(presence), shape, generators, device=presence.device)
    radius = bounds[0] * torch.exp(math.log(bounds[1] / bounds[0]) * unit[:, 0:1])
    radius = torch.where(unit[:, 1:2] < presence, radius, 1e-3)
    height = radius * (1 + _ELONGATION * unit[:, 2:3])
    grid = torch.stack(torch.meshgrid(torch.arange(shape[1]), torch.arange(shape[2]), indexing="ij"))
    centre = (grid.to(presence.device) + 0.5) * cell - shift
    extent = height / math.sqrt(1 - _BEND)  # where the outline bends out most
    centre = centre + (cell / 2 - extent) * (2 * unit[:, 3:5] - 1)
    table = torch.cat([centre, height, radius], dim=1)
    y, x, height, radius = table.index_select(3, columns).index_select(2, rows).chunk(4, dim=1)
    pixel_y = torch.arange(size[0], device=presence.device)[:, None] + 0.5
    pixel_x = torch.arange(size[1], device=presence.device) + 0.5
    return (pixel_y - y) / height, (pixel_x - x) / radius, radius


def _roughness(n: int, size: tuple[int, int], generators: Generators, device: torch.device) -> Tensor:
    """Smooth noise in [-1, 1] that bends the outlines, (n, 1, H, W)."""
    cell = 10
    shape = (1, math.ceil(size[0] / cell), math.ceil(size[1] / cell))
    return enlarge(uniform(n, shape, generators, -1.0, 1.0, device=device), cell, size)


def _refract(x: Tensor, reach: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The background as a drop shows it: inverted, minified, out of focus; mirrored at the borders."""
    height, width = x.shape[-2:]
    background = F.avg_pool2d(x, _DEFOCUS, ceil_mode=True)
    y_source = torch.arange(height, device=x.device)[:, None] + 0.5 - reach * down
    x_source = torch.arange(width, device=x.device) + 0.5 - reach * across
    where = torch.cat([2 * x_source / width - 1, 2 * y_source / height - 1], dim=1).permute(0, 2, 3, 1)
    return F.grid_sample(background, where, padding_mode="reflection", align_corners=False)
