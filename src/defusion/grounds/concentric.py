"""Concentric textures: every orientation or every frequency around one centre.

They show blur (its direction, length and shape), compression and lost resolution.
"""

import math

import torch
from torch import Tensor

from defusion.grounds.canvas import (
    Device,
    coordinates,
    disc,
    parameters,
    rotated,
    sine_wave,
    square_wave,
    tiles,
)
from defusion.random import Generators, uniform
from defusion.types import Image

_STAR_RADIUS = 0.95
_CORNER = 0.7


def siemens_star(n: int, size: int, generators: Generators, device: Device) -> Image:
    """The harmonic (sinusoidal) Siemens star of TE42 and ISO 12233, with grey steps: 12 to 32 cycles."""
    phase, width, radius = _spokes(n, size, generators, device)
    return _framed(sine_wave(phase, width), radius, size, generators)


def sector_star(n: int, size: int, generators: Generators, device: Device) -> Image:
    """The classical Siemens star with hard sectors: 12 to 32 pairs."""
    phase, width, radius = _spokes(n, size, generators, device)
    return _framed(square_wave(phase, width), radius, size, generators)


def zone_plate(n: int, size: int, generators: Generators, device: Device) -> Image:
    """A sinusoidal Fresnel zone plate: the frequency is linear in r, 6 to 20 cycles a unit at r = 1."""
    frequency, start = parameters(n, generators, device, (6, 20), (0, 1))
    x, y = coordinates(size, device)
    square = x**2 + y**2
    wave = sine_wave(frequency * square / 2 + start, frequency * square.sqrt() * (2 / size))
    return _inked(wave, generators)


def rings(n: int, size: int, generators: Generators, device: Device) -> Image:
    """A bullseye: 5 to 12 pairs of hard rings, even or finer towards the centre or the rim."""
    pairs, power, start = parameters(n, generators, device, (5, 12), (0.6, 1.6), (0, 1))
    radius = _radius(size, device)
    width = pairs * power * radius ** (power - 1) * (2 / size)
    return _framed(square_wave(pairs * radius**power + start, width), radius, size, generators)


def slanted_squares(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Nested squares turned by 3 to 8 degrees: the slanted edges of ISO 12233."""
    pairs, angle, side, start = parameters(n, generators, device, (2, 4.5), (3, 8), (-1, 1), (0, 1))
    u, v = rotated(*coordinates(size, device), torch.deg2rad(angle) * side.sign())
    wave = square_wave(pairs * torch.maximum(u.abs(), v.abs()) + start, pairs * (2 / size))
    return _inked(wave, generators)


def _spokes(n: int, size: int, generators: Generators, device: Device) -> tuple[Tensor, Tensor, Tensor]:
    """Phase and width of a star in cycles, and the radius."""
    cycles, start = parameters(n, generators, device, (12, 33), (0, 1))
    cycles = cycles.floor()
    x, y = coordinates(size, device)
    radius = _radius(size, device)
    phase = cycles * (torch.atan2(y, x) / (2 * math.pi)) + start
    return phase, cycles / (2 * math.pi * radius) * (2 / size), radius


def _radius(size: int, device: Device) -> Tensor:
    x, y = coordinates(size, device)
    return torch.hypot(x, y).clamp(min=0.5 / size)


def _inked(wave: Tensor, generators: Generators) -> Image:
    """A wave (n, H, W) in [-1, 1] around mid grey: three in four are grey, the others of opposite colours."""
    n, device = len(wave), wave.device
    draws = uniform(n, (5, 1, 1), generators, device=device)
    contrast = 0.6 + 0.38 * draws[:, :1]
    opposite = 2 * draws[:, 2:] - 1
    opposite = opposite / opposite.abs().amax(1, keepdim=True)
    colour = torch.where(draws[:, 1:2] < 0.75, torch.ones_like(opposite), opposite)
    return 0.5 + 0.5 * wave[:, None] * contrast * colour


def _framed(wave: Tensor, radius: Tensor, size: int, generators: Generators) -> Image:
    """A round texture on mid grey, with black, white and two greys in the corners."""
    device = wave.device
    corners = torch.tensor(
        [[0.02, 0.5, 0.98], [0.5, 0.5, 0.5], [0.75, 0.5, 0.25]],
        device=device,
    )
    edges = torch.tensor([-1.0, -_CORNER, _CORNER, 1.0], device=device)
    frame = tiles(corners[None, None], edges, edges, size)
    return torch.lerp(frame, _inked(wave, generators), disc(radius, _STAR_RADIUS, size))
