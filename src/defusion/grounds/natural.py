"""Natural textures, procedural: fine, structured detail in familiar colours.

They show what a degradation does to real surfaces: haze and colour casts, lost texture, low light.
"""

import math
from functools import partial

import torch
from torch import Tensor

from defusion.grounds.canvas import (
    Device,
    blend,
    coordinates,
    fractal_noise,
    natural_colours,
    parameters,
    rotated,
    smooth_noise,
    supersampled,
    turned,
)
from defusion.grounds.scatter import Layer, Spots, front_to_back
from defusion.random import Generators, uniform
from defusion.types import Image

_LEAF_PITCHES = (0.9, 0.6, 0.75, 0.5)
_LEAF_PASSES = 2
_THREAD_KINDS = 64


def foliage(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Overlapping leaves with midrib and veins, darker with depth; green to autumn."""
    (autumn,) = parameters(n, generators, device, (-0.25, 0.35))
    traits = partial(_leaf_traits, autumn=autumn)
    sizes = [Layer.draw(n, _LEAF_PASSES, pitch, 0.35, 4, traits, generators, device) for pitch in _LEAF_PITCHES]
    layers = (layer for same_depth in zip(*sizes, strict=True) for layer in same_depth)
    leaves = (_leaf(layer.at(size), 0.93**depth) for depth, layer in enumerate(layers))
    background = torch.tensor([0.05, 0.09, 0.04], device=device)[:, None, None].expand(n, 3, size, size)
    return front_to_back(leaves, background).clamp(0, 1)


def _leaf_traits(draws: Tensor, autumn: Tensor) -> Tensor:
    """Each leaf's direction (cosine, sine), half width and colour from four uniform values."""
    turn, hue, light, shape = draws.unbind(1)
    warmth = (hue - 0.5) * 0.5 + autumn[:, 0]
    colour = (0.55 + 0.9 * warmth, 0.85 - 0.25 * warmth, 0.28 - 0.2 * warmth)
    angle, brightness = 2 * math.pi * turn, 0.5 + 0.5 * light
    half_width = 0.34 + 0.18 * shape
    return torch.stack([angle.cos(), angle.sin(), half_width, *(brightness * ink for ink in colour)], dim=1)


def _leaf(spots: Spots, light: float) -> tuple[Tensor, Image]:
    """Coverage and colour of pointed leaves in the discs: unlike halves, a bright midrib, side veins."""
    cosine, sine, half_width = (spots.traits[:, i : i + 1] for i in range(3))
    u = (spots.dx * cosine + spots.dy * sine) / spots.radius
    v = (spots.dy * cosine - spots.dx * sine) / spots.radius
    from_rib = v.abs()
    edge = half_width * (1 - u * u).clamp(min=0) * (1 + 0.35 * u)
    coverage = spots.coverage((edge - from_rib) * spots.radius) * (u.abs() < 1)
    rib = (1 - 15 * from_rib).clamp(min=0)
    veins = torch.cos((10 * math.pi) * u - (8 * math.pi) * from_rib)
    shade = light * (1 + 0.12 * v.sign() + 0.07 * veins + 0.3 * rib)
    return coverage, shade * spots.traits[:, 3:]


@supersampled
def cloth(n: int, size: int, generators: Generators, device: Device) -> Image:
    """A plain weave or a 2/2 twill of round threads in two colours, some striped or checked."""
    threads, angle, kind = parameters(n, generators, device, (9, 15), (-0.2, 0.2), (0, 1))
    x, y = coordinates(size, device)
    u, v = (axis * threads + 24 for axis in rotated(x, y, angle))
    column, row = u.floor(), v.floor()
    across, along = u - column - 0.5, v - row - 0.5
    repeat = torch.where(kind < 0.5, 2.0, 4.0)
    warp_on_top = torch.remainder(column + row, repeat) < repeat / 2
    warp, weft = _yarns(n, generators, device)
    index = torch.stack([column, row], 1).long().clamp(0, _THREAD_KINDS - 1)
    warp_colour, weft_colour = (
        yarn.gather(2, index[:, axis].view(n, 1, -1).expand(-1, 3, -1)).view(n, 3, size, size)
        for axis, yarn in enumerate((warp, weft))
    )
    warp_shade, weft_shade = _thread(across, along), _thread(along, across)
    return torch.where(
        warp_on_top[:, None], warp_colour * warp_shade[:, None], weft_colour * weft_shade[:, None]
    ).clamp(0, 1)


def _thread(across: Tensor, along: Tensor) -> Tensor:
    """Light on a round, twisted thread that dives at the ends of its float; offsets in [-0.5, 0.5]."""
    roundness = torch.cos(math.pi * across).clamp(min=0).sqrt()
    twist = torch.cos(2 * math.pi * (1.5 * across + 1.5 * along))
    return (0.3 + 0.75 * roundness) * (0.75 + 0.25 * torch.cos(math.pi * along)) * (1 + 0.06 * twist)


def _yarns(n: int, generators: Generators, device: Device) -> tuple[Tensor, Tensor]:
    """Colours of the warp and the weft threads, (n, 3, threads) each: bands of two, a little uneven."""
    draws = uniform(n, (9, 1), generators, device=device)
    first, second = natural_colours(draws[:, 0:3]), natural_colours(draws[:, 3:6])
    band = 2 + (draws[:, 6:7] * 6).floor()
    striped = torch.remainder((torch.arange(_THREAD_KINDS, device=device) / band).floor(), 2)
    unevenness = 0.88 + 0.24 * uniform(n, (2, 1, _THREAD_KINDS), generators, device=device)
    warp = blend(first, second, striped * (draws[:, 7:8] < 0.5))
    weft = blend(0.85 * first, second, torch.where(draws[:, 8:9] < 0.5, striped, torch.ones_like(striped)))
    return warp * unevenness[:, 0], weft * unevenness[:, 1]


def wood(n: int, size: int, generators: Generators, device: Device) -> Image:
    """A sawn plank: growth rings cut lengthwise, darker latewood, fibres and pores along the grain."""
    return turned(_plank(n, size, generators, device), generators)


@supersampled
def _plank(n: int, size: int, generators: Generators, device: Device) -> Image:
    """An upright plank."""
    count, across, along, slope, tone = parameters(
        n, generators, device, (5, 10), (-0.6, 0.6), (-0.6, 0.6), (0.25, 0.5), (0, 1)
    )
    x, y = coordinates(size, device)
    warp = fractal_noise(n, size, generators, device, (4, 2), octaves=4)[:, 0]
    radius = torch.hypot((x - along) * slope, y - across) + 0.045 * warp
    growth = count * radius
    growth = growth - growth.floor()
    latewood = growth**2 * (1 - growth**12)
    fibres = smooth_noise(n, size, (128, 4), generators, device)[:, 0]
    pores = (smooth_noise(n, size, (160, 12), generators, device)[:, 0] - 1.2).clamp(min=0)
    depth = (0.15 + 0.75 * latewood + 0.12 * fibres + 0.25 * pores + 0.08 * warp)[:, None]
    light = blend(_colour(0.93, 0.78, 0.55, device), _colour(0.72, 0.48, 0.28, device), tone[:, None])
    dark = blend(_colour(0.62, 0.40, 0.20, device), _colour(0.28, 0.14, 0.07, device), tone[:, None])
    return blend(light, dark, depth).clamp(0, 1)


def stone(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Veined marble to speckled granite: ridges of fractal noise and mineral grains."""
    veins, grains, warmth, light = parameters(
        n, generators, device, (0.1, 0.4), (0.04, 0.12), (-0.06, 0.1), (0.45, 0.75)
    )
    body = fractal_noise(n, size, generators, device, gain=0.6)
    folds = fractal_noise(n, size, generators, device, (2, 2), gain=0.55)
    cracks = torch.exp(-((folds / 0.1) ** 2))
    minerals = smooth_noise(n, size, (96, 96), generators, device)
    grey = light[:, None] + 0.09 * body + grains[:, None] * minerals - veins[:, None] * cracks
    tint = torch.cat([1 + warmth, torch.ones_like(warmth), 1 - warmth], dim=1)[..., None]
    return (grey * tint).clamp(0, 1)


def clouds(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Cumulus clouds on a sky that pales towards the horizon."""
    cover, softness, dusk = parameters(n, generators, device, (-0.4, 0.4), (0.5, 1.2), (0, 1))
    _, y = coordinates(size, device)
    height = (y + 1) / 2
    zenith = blend(_colour(0.16, 0.38, 0.74, device), _colour(0.30, 0.28, 0.52, device), dusk[:, None])
    horizon = blend(_colour(0.68, 0.82, 0.94, device), _colour(0.97, 0.70, 0.50, device), dusk[:, None])
    sky = blend(zenith, horizon, height)
    field = fractal_noise(n, size, generators, device, (3, 2), octaves=7, gain=0.52)
    density = ((field + cover[:, None]) / softness[:, None]).clamp(0, 1)
    shadow = fractal_noise(n, size, generators, device, (3, 2), octaves=5)
    light = 0.93 - 0.2 * density * (0.5 + 0.5 * shadow).clamp(0, 1) - 0.06 * height
    return blend(sky, light * _colour(1.0, 0.99, 0.98, device), density).clamp(0, 1)


def _colour(red: float, green: float, blue: float, device: Device) -> Tensor:
    return torch.tensor([red, green, blue], device=device).view(1, 3, 1, 1)
