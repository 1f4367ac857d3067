"""What the constructs are drawn with: coordinates, anti-aliased waves, tiles and band-limited noise.

Units: a cell spans [-1, 1] in x (to the right) and y (downwards) at every size, so one set of
parameters draws the same picture at 16 px and at 1024 px. Values are sRGB as stored.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.random import Generators, normal, uniform
from defusion.types import Image

Device: TypeAlias = torch.device | str
Construct: TypeAlias = Callable[[int, int, Generators, Device], Image]
"""`construct(n, size, generators, device)` draws (n, 3, size, size) in [0, 1], generators on `device`."""

_INTERPOLATED_POWER = 0.78
"""The variance that bicubic interpolation leaves of independent knots, averaged over the field."""


def coordinates(size: int, device: Device) -> tuple[Tensor, Tensor]:
    """The pixel centres: x (1, size) and y (size, 1) in (-1, 1)."""
    centres = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    return centres[None, :], centres[:, None]


def rotated(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """The coordinates in a frame turned by `angle` (radians)."""
    cosine, sine = angle.cos(), angle.sin()
    return x * cosine + y * sine, y * cosine - x * sine


def parameters(n: int, generators: Generators, device: Device, *ranges: tuple[float, float]) -> tuple[Tensor, ...]:
    """One uniform value a sample from each of the ranges, each (n, 1, 1)."""
    values = uniform(n, (len(ranges),), generators, device=device)
    return tuple(
        (low + (high - low) * value)[:, None, None] for (low, high), value in zip(ranges, values.unbind(1), strict=True)
    )


def natural_colours(values: Tensor) -> Tensor:
    """RGB from three uniform values in [0, 1) along dim 1: even lightness, muted chroma.

    Lightness, yellow-blue and red-green are the uncorrelated axes of natural colours (Ruderman et al., 1998).
    The chroma values are cubed: most natural colours are close to grey.
    """
    light = 0.05 + 0.9 * values[:, :1]
    chroma = 0.9 * light * (1 - light)
    opponent = chroma * (2 * values[:, 1:3] - 1).pow(3)
    yellow, red = opponent[:, :1], opponent[:, 1:]
    return torch.cat([light + yellow + red, light + yellow - red, light - 2 * yellow], dim=1).clamp(0, 1)


def sine_wave(phase: Tensor, width: Tensor) -> Tensor:
    """A cosine in [-1, 1] averaged over the pixel.

    Args:
        phase: in cycles.
        width: cycles a pixel, the length of the phase's gradient.
    """
    return torch.cos(2 * math.pi * phase) * torch.sinc(width) * _resolved(width)


def square_wave(phase: Tensor, width: Tensor) -> Tensor:
    """A square wave, -1 or 1, averaged over the pixel; arguments as in `sine_wave`.

    The integral of a square wave is a triangle wave, so its mean over the pixel is a difference of two.
    """
    width = width.clamp(min=1e-3)
    mean = (_triangle(phase + width / 2) - _triangle(phase - width / 2)) / width
    return mean.clamp(-1, 1) * _resolved(width)


def _triangle(phase: Tensor) -> Tensor:
    return 0.5 - (phase - phase.floor() - 0.5).abs()


def _resolved(width: Tensor) -> Tensor:
    """1 where the pixels resolve the wave, falling to 0 at the Nyquist frequency: no moire."""
    return (5 - 10 * width).clamp(0, 1)


def disc(radius: Tensor, limit: Tensor | float, size: int) -> Tensor:
    """The share of each pixel inside the circle of radius `limit`, in [0, 1]."""
    return ((limit - radius) * (size / 2) + 0.5).clamp(0, 1)


def tiles(values: Tensor, rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """Rectangles of one colour each, every pixel the exact area mean of what it covers.

    Args:
        values: (n, C, R, K), the colours.
        rows: (R + 1,) or (n, R + 1), rising edges in [-1, 1].
        columns: (K + 1,) or (n, K + 1).
        size: pixels along a side.

    Returns:
        (n, C, size, size).
    """
    down, across = _coverage(rows, size), _coverage(columns, size)
    if down.ndim == 3:
        down = down[:, None]
    if across.ndim == 3:
        across = across[:, None]
    return down @ values @ across.mT


def _coverage(edges: Tensor, size: int) -> Tensor:
    """The share of every pixel (..., size, parts) that lies between neighbouring edges."""
    pixels = (edges + 1) * (size / 2)
    left = torch.arange(size, device=edges.device)[:, None]
    reached = (pixels[..., None, :] - left).clamp(0, 1)
    return reached.diff(dim=-1)


def even_edges(parts: int, device: Device) -> Tensor:
    """The edges of `parts` equal parts of [-1, 1]."""
    return torch.linspace(-1, 1, parts + 1, device=device)


def smooth_noise(
    n: int,
    size: int,
    lattice: tuple[int, int],
    generators: Generators,
    device: Device,
) -> Tensor:
    """Unit normal values on a lattice of (rows, columns), interpolated, (n, 1, size, size).

    The lattice does not depend on `size`: the same field at every size, low-pass filtered at small ones.
    """
    knots = normal(n, (1, *lattice), generators, device=device)
    return F.interpolate(knots, size=(size, size), mode="bicubic", antialias=min(lattice) > size)


def fractal_noise(
    n: int,
    size: int,
    generators: Generators,
    device: Device,
    lattice: tuple[int, int] = (3, 3),
    octaves: int = 6,
    gain: float = 0.5,
) -> Tensor:
    """Octaves of smooth noise, (n, 1, size, size), of about unit deviation.

    Each octave is twice as fine and `gain` times as strong; the first lies on a lattice of (rows, columns).
    """
    field = torch.zeros((n, 1, size, size), device=device)
    power = _INTERPOLATED_POWER * sum(gain ** (2 * octave) for octave in range(octaves))
    for octave in range(octaves):
        finer = (lattice[0] << octave, lattice[1] << octave)
        field += gain**octave * smooth_noise(n, size, finer, generators, device)
    return field / math.sqrt(power)


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """`first` where share is 0, `second` where it is 1."""
    return first + (second - first) * share


def turned(picture: Image, generators: Generators) -> Image:
    """Each picture of the batch mirrored or transposed at random."""
    upright, left, top = uniform(len(picture), (3, 1, 1, 1), generators, device=picture.device).unbind(1)
    picture = torch.where(upright < 0.5, picture, picture.mT)
    picture = torch.where(left < 0.5, picture, picture.flip(-1))
    return torch.where(top < 0.5, picture, picture.flip(-2))


def supersampled(construct: Construct) -> Construct:
    """Draws twice as large and averages: anti-aliasing for patterns without a closed form."""

    @wraps(construct)
    def draw(n: int, size: int, generators: Generators, device: Device) -> Image:
        return F.avg_pool2d(construct(n, 2 * size, generators, device), 2)

    return draw
