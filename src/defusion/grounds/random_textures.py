"""Random textures: known statistics and no structure to guess.

They show noise and grain, and the texture that denoising and compression take away.
"""

import torch

from defusion.grounds.canvas import (
    Device,
    blend,
    even_edges,
    natural_colours,
    parameters,
    smooth_noise,
    tiles,
    turned,
)
from defusion.grounds.scatter import Layer, front_to_back
from defusion.random import Generators, normal, uniform
from defusion.types import Image

_COARSEST_PITCH = 1.4
_OCTAVES = 6
_PASSES = 4
_FINEST_PIXELS = 4.0


def dead_leaves(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Coloured dead leaves with scale-invariant radii (r^-3), as in TE42; also a training scene at crop size.

    Occluding discs have the edges, the flat parts and the 1/f spectrum of photographs
    (Lee, Mumford and Huang, 2001). Radii run from about 1 px (never below 0.007 of the side) to 0.35 of
    the side; a larger size adds finer leaves and keeps the others.
    """
    pitches = [_COARSEST_PITCH / 2**octave for octave in range(_OCTAVES)]
    octaves = [
        Layer.draw(n, _PASSES, pitch, 1 / 6, 3, natural_colours, generators, device)
        for pitch in pitches
        if pitch * size / 2 >= _FINEST_PIXELS
    ]
    discs = (layer.at(size) for layers in zip(*octaves, strict=True) for layer in layers)
    leaves = ((spots.coverage(spots.radius - spots.dx.hypot(spots.dy)), spots.traits) for spots in discs)
    return front_to_back(leaves, torch.full((n, 3, size, size), 0.4, device=device))


def white_noise(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Gaussian noise, independent from pixel to pixel, between grey and fully coloured, on a random grey."""
    level, deviation, chroma = parameters(n, generators, device, (0.35, 0.65), (0.08, 0.25), (0, 1))
    noise = normal(n, (3, size, size), generators, device=device)
    grey = noise.mean(1, keepdim=True) * 3**0.5
    mixed = blend(grey, noise, chroma[:, None])
    return (level[:, None] + deviation[:, None] * mixed).clamp(0, 1)


def pink_noise(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Noise with the amplitude spectrum 1/f of photographs (Field, 1987); also a training scene at crop size.

    Lightness varies most, yellow-blue less, red-green least (Ruderman et al., 1998).
    """
    level, deviation, chroma = parameters(n, generators, device, (0.4, 0.6), (0.1, 0.2), (0.1, 0.5))
    spectrum = torch.fft.rfft2(normal(n, (3, size, size), generators, device=device))
    vertical = torch.fft.fftfreq(size, device=device)[:, None]
    horizontal = torch.fft.rfftfreq(size, device=device)[None, :]
    frequency = torch.hypot(vertical, horizontal)
    frequency[0, 0] = torch.inf
    field = torch.fft.irfft2(spectrum / frequency, s=(size, size))
    field = field / field.std((-2, -1), keepdim=True)
    light, yellow, red = field.unbind(1)
    yellow, red = yellow * chroma, red * chroma / 2
    mixed = torch.stack([light + yellow + red, light + yellow - red, light - 2 * yellow], dim=1)
    return (level[:, None] + deviation[:, None] * mixed).clamp(0, 1)


def grain(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Film grain on a wedge of densities, strongest in the mid tones: sqrt(p (1 - p)) for a share p."""
    strength, steps = parameters(n, generators, device, (0.15, 0.4), (4, 9))
    ramp = torch.linspace(0, 1, 64, device=device)[None, None, :]
    density = 0.06 + 0.88 * (ramp * steps).floor().clamp(max=steps.floor() - 1) / (steps.floor() - 1)
    edges = even_edges(64, device)
    wedge = tiles(density[:, None], edges[[0, -1]], edges, size)
    clumps = smooth_noise(n, size, (48, 48), generators, device)
    fine = smooth_noise(n, size, (96, 96), generators, device)
    field = wedge + strength[:, None] * (wedge * (1 - wedge)).sqrt() * (0.6 * clumps + 0.8 * fine)
    return turned(field.clamp(0, 1).expand(-1, 3, -1, -1), generators)


def random_blocks(n: int, size: int, generators: Generators, device: Device) -> Image:
    """Black, grey and white squares at random on a lattice of 12 to 24."""
    (count,) = parameters(n, generators, device, (12, 24))
    values = (uniform(n, (1, 24, 24), generators, device=device) * 3).floor() * 0.46 + 0.04
    edges = -1 + 2 * torch.arange(25, device=device) / count[:, 0]
    return tiles(values, edges, edges, size).clamp(0, 1).expand(-1, 3, -1, -1)
