"""Colours: known patches and ramps.

They show colour casts, haze, low light and clipping, and the banding of compression.
"""

import math

import torch
from torch import Tensor

from defusion.grounds.canvas import (
    Device,
    blend,
    coordinates,
    disc,
    even_edges,
    parameters,
    tiles,
    turned,
)
from defusion.random import Generators, uniform
from defusion.types import Image

COLOUR_CHECKER = (
    ((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    ((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    ((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)),
    ((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""The 24 patches of the ColorChecker Classic in 8-bit sRGB, as published by its maker: four rows of six."""

_PATCH_GAP = 0.018
_STEPS = 24
_BARS = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))
"""White, yellow, cyan, green, magenta, red, blue, in the order of falling luminance (SMPTE EG 1)."""


def colour_checker(n: int, size: int, generators: Generators, device: Device) -> Image:
    """The 24 patches of `COLOUR_CHECKER` on a black mount, mirrored or transposed at random."""
    patches = torch.tensor(COLOUR_CHECKER, device=device).permute(2, 0, 1) / 255
    values = torch.full((1, 3, 9, 13), 0.08, device=device)
    values[0, :, 1::2, 1::2] = patches
    picture = tiles(values, _mounted(4, device), _mounted(6, device), size)
    return turned(picture.expand(n, -1, -1, -1), generators).clamp(0, 1)


def _mounted(parts: int, device: Device) -> Tensor:
    """The edges of patches with gaps around each: gap, patch, gap, ..., patch, gap."""
    edges = even_edges(parts, device)
    inner = torch.stack([edges[:-1] + _PATCH_GAP, edges[1:] - _PATCH_GAP], dim=1).flatten()
    return torch.cat([edges[:1], inner, edges[-1:]])


def grey_steps(n: int, size: int, generators: Generators, device: Device) -> Image:
    """The crossed grey scale: 8 to 20 even steps from black to white above, from white to black below."""
    (count,) = parameters(n, generators, device, (8, 21))
    steps = count.floor()
    index = torch.arange(_STEPS, device=device)
    rising = (index / (steps - 1)).clamp(max=1)
    edges = (-1 + 2 * torch.arange(_STEPS + 1, device=device) / steps[:, 0]).clamp(max=1)
    middle = torch.full_like(rising, 0.5)
    values = torch.stack([rising, middle, 1 - rising], dim=2)
    rows = torch.tensor([-1.0, -0.12, 0.12, 1.0], device=device)
    return turned(tiles(values, rows, edges, size).expand(-1, 3, -1, -1), generators).clamp(0, 1)


def ramps(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Seven smooth ramps from black: white, red, green, blue, yellow, cyan, magenta in a random order."""
    order = uniform(n, (len(_BARS),), generators, device=device).argsort(1)
    inks = torch.tensor(_BARS, device=device, dtype=torch.float32)[order]
    x, _ = coordinates(size, device)
    level = ((x + 1) / 2)[:, None, None, :]
    stripes = tiles(inks.mT[..., None], even_edges(len(_BARS), device), even_edges(1, device), size)
    return turned(stripes * level, generators)


def hue_wheel(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Saturated hues: a wheel of 12 to 24 sectors, paler towards the centre in three rings, on grey."""
    count, start, surround = parameters(n, generators, device, (12, 25), (0, 1), (0.1, 0.9))
    sectors = count.floor()
    x, y = coordinates(size, device)
    radius = torch.hypot(x, y).clamp(min=0.5 / size)
    turn = (torch.atan2(y, x) / (2 * math.pi) + 0.5) * sectors + start * sectors
    pixels_a_sector = 2 * math.pi * radius * (size / 2) / sectors
    inside = ((turn - turn.round()) * pixels_a_sector + 0.5).clamp(0, 1)
    before, after = _hue((turn.round() - 1) / sectors), _hue(turn.round() / sectors)
    wheel = blend(before, after, inside[:, None])
    saturation = 1 - 0.35 * disc(radius, 0.66, size) - 0.35 * disc(radius, 0.4, size)
    wheel = blend(torch.ones_like(wheel), wheel, saturation)
    ground = surround[:, None].expand_as(wheel)
    rim = disc(radius, 0.94, size) - disc(radius, 0.14, size)
    return blend(ground, wheel, rim).clamp(0, 1)


def _hue(turn: Tensor) -> Tensor:
    """The saturated colour at a hue in turns, (n, H, W) to (n, 3, H, W)."""
    thirds = torch.tensor([0.0, 1 / 3, 2 / 3], device=turn.device).view(1, 3, 1, 1)
    distance = (turn[:, None] - thirds + 0.5).remainder(1) - 0.5
    return (2 - 6 * distance.abs()).clamp(0, 1)


def colour_bars(n: int, size: int, generators: Generators, device: Device) -> Image:
    """The colour bars of television (SMPTE EG 1) at 75% to 100%: bars, reversed blue bars, grey steps."""
    (level,) = parameters(n, generators, device, (0.75, 1))
    bars = torch.tensor(_BARS, device=device, dtype=torch.float32).T[None, :, None]
    blues = bars.flip(-1) * (bars.flip(-1)[:, 2:] > 0) * torch.tensor([1, 0] * 3 + [1], device=device)
    greys = torch.linspace(0, 1, len(_BARS), device=device).expand(1, 3, 1, -1)
    values = torch.cat([bars, blues, greys], dim=2) * level[:, None]
    rows = torch.tensor([-1.0, 0.34, 0.5, 1.0], device=device)
    picture = tiles(values, rows, even_edges(len(_BARS), device), size)
    flipped = uniform(n, (1, 1, 1), generators, device=device) < 0.5
    return torch.where(flipped, picture, picture.flip(-1)).clamp(0, 1)
