"""The spatial fields of weather and water: smooth depth, and particles that move during an exposure.

Depth lives in relative coordinates (0 to 1 down and across the picture) and follows from drawn
parameters alone, so that a crop and a 4K photograph get the same depth. Particles live in pixels:
their number grows with the area and their size does not.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.random import Generators, uniform
from defusion.types import Params

Range = tuple[float, float]
"""(low, high). Of a strength: the value at severity 0 and at severity 1."""

_FIXED_POINT = 2**16
_NUM_WAVES = 6


def between(unit: Tensor, bounds: Range) -> Tensor:
    """The value at `unit` in [0, 1] between the bounds."""
    low, high = bounds
    return low + (high - low) * unit


def by_severity(severity: Tensor, unit: Tensor, bounds: Range) -> Tensor:
    """From low at severity 0 to high at severity 1, scattered by up to a fifth of the way between.

    Args:
        severity: (n,) in [0, 1].
        unit: (n,) uniform in [0, 1]; moves the value.
        bounds: (value at severity 0, value at severity 1).
    """
    return between(severity * (1 + 0.4 * (unit - 0.5) * (1 - severity)), bounds)


def draw_waves(n: int, generators: Generators, cycles: float) -> Tensor:
    """Plane waves of a smooth random field, (n, waves, 3): cycles down, cycles across, phase in cycles."""
    unit = uniform(n, (_NUM_WAVES, 3), generators)
    return torch.cat([(2 * unit[..., :2] - 1) * cycles, unit[..., 2:]], dim=-1)


def smooth_field(waves: Tensor, height: int, width: int, device: torch.device) -> Tensor:
    """The sum of the waves at any size, of variance 1 over the draws: (n, 1, H, W)."""
    cycles_down, cycles_across, phase = waves.to(device).mul(2 * math.pi)[..., None].unbind(2)
    down = cycles_down * _relative(height, device) + phase
    across = cycles_across * _relative(width, device)
    field = torch.zeros(len(waves), height, width, device=device)
    for wave in range(waves.shape[1]):  # cos(a + b) from functions of a and of b alone
        a, b = down[:, wave, :, None], across[:, wave, None, :]
        field += a.cos() * b.cos()
        field -= a.sin() * b.sin()
    return field.mul_(math.sqrt(2 / waves.shape[1]))[:, None]


def draw_depth(n: int, generators: Generators) -> Params:
    """A scene: a plane that recedes from the ground to the sky, and smooth objects before it."""
    unit = uniform(n, (3,), generators)
    low, high = torch.tensor([-0.5, 0.5, -1.5]), torch.tensor([1.0, 5.0, 1.5])
    return {
        "depth_plane": low + (high - low) * unit,  # offset, rise to the top, tilt to the right
        "depth_waves": draw_waves(n, generators, cycles=1.5),
    }


def depth(params: Params, height: int, width: int, device: torch.device) -> Tensor:
    """Relative depth in (0, 1), the same scene at every size: (n, 1, H, W)."""
    offset, rise, tilt = params["depth_plane"].to(device)[..., None, None, None].unbind(1)
    up, right = 0.5 - _relative(height, device)[:, None], _relative(width, device) - 0.5
    objects = smooth_field(params["depth_waves"], height, width, device)
    scene = objects.mul_(0.7).add_(offset + rise * up).add_(tilt * right)
    return 1 / (1 + torch.exp(-scene))  # torch.sigmoid rounds by the place in the batch


def scatter(
    size: tuple[int, int],
    rate: Tensor,
    most: float,
    margin: float,
    num_marks: int,
    generators: Generators,
) -> tuple[Tensor, Tensor, Tensor]:
    """Particles thrown at random over the picture and a margin around it.

    As many candidates as the highest rate asks for are drawn, and each is kept with probability
    rate / most: a sample's draws do not depend on the rates of its neighbours.

    Args:
        size: (H, W).
        rate: (n,) particles a square pixel, on the device of the picture.
        most: the highest rate there is.
        margin: in pixels; particles in it reach into the picture.
        num_marks: uniform values in [0, 1) drawn for each particle.
        generators: on the device of `rate`.

    Returns:
        The sample of each particle (P,), its place in pixels, down and across (P, 2), and its
        marks (P, num_marks).
    """
    extent = torch.tensor([size[0] + 2 * margin, size[1] + 2 * margin], device=rate.device)
    area = (size[0] + 2 * margin) * (size[1] + 2 * margin)
    count = max(1, math.ceil(most * area))
    unit = uniform(len(rate), (count, 3 + num_marks), generators, device=rate.device)
    kept = unit[..., 0] < (rate * (area / count))[:, None]
    chosen = unit[kept]
    return kept.nonzero()[:, 0], chosen[:, 1:3] * extent - margin, chosen[:, 3:]


def expose(
    n: int,
    size: tuple[int, int],
    sample: Tensor,
    place: Tensor,
    path: Tensor,
    light: Tensor,
    cell: int = 1,
    tapered: bool = False,
) -> Tensor:
    """The light of particles that move along straight paths during the exposure.

    Sums are taken in fixed point, so that the order in which a GPU adds them changes no bit.

    Args:
        n: number of samples.
        size: (H, W) in pixels.
        sample: (P,) the sample of each particle.
        place: (P, 2) the middle of its path, pixels down and across.
        path: (P, 2) its motion, pixels down and across.
        light: (P,) its light in all; 1 fills one cell.
        cell: width in pixels of a cell of the result.
        tapered: the light swells and fades along the path.

    Returns:
        (n, 1, ceil(H / cell), ceil(W / cell)).
    """
    height, width = math.ceil(size[0] / cell), math.ceil(size[1] / cell)
    reach = path.abs() / 2 + cell
    extent = torch.tensor(size, device=place.device)
    seen = ((place > -reach) & (place < extent + reach)).all(dim=1)
    sample, place, path, light = sample[seen], place[seen], path[seen], light[seen]
    steps = (path.norm(dim=1) / cell).ceil().clamp(min=1).long()
    particle = torch.arange(len(steps), device=steps.device).repeat_interleave(steps)
    step = torch.arange(len(particle), device=steps.device)
    step -= (steps.cumsum(0) - steps).index_select(0, particle)
    time = (step + 0.5) / steps.index_select(0, particle) - 0.5
    weight = (light / steps * _FIXED_POINT).index_select(0, particle)
    if tapered:
        weight *= 1.5 - 6 * time**2
    place, path = place / cell - 0.5, path / cell
    down, across = (
        place[:, axis].index_select(0, particle) + time * path[:, axis].index_select(0, particle) for axis in (0, 1)
    )
    down, across = down.clamp(-1, height), across.clamp(-1, width)  # what lies outside falls on a border
    top, left = down.floor(), across.floor()
    lower, right = down - top, across - left
    field = torch.zeros(n * (height + 3) * (width + 3), dtype=torch.int32, device=light.device)
    row_of_sample = (sample * (height + 3)).index_select(0, particle)
    corner = (row_of_sample + top.long() + 1) * (width + 3) + left.long() + 1
    for row, share_down in ((0, 1 - lower), (1, lower)):
        for column, share_across in ((0, 1 - right), (1, right)):
            share = (weight * share_down * share_across).round_().int()
            field.index_add_(0, corner + row * (width + 3) + column, share)
    field = field.view(n, 1, height + 3, width + 3)[..., 1 : height + 1, 1 : width + 1]
    return field / _FIXED_POINT


def gaussian_blur(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur by its own sigma for each sample; sigma 0 changes nothing.

    Tap by tap rather than by a convolution, whose rounding depends on the batch size.

    Args:
        x: (n, C, H, W).
        sigma: (n,) in pixels.
        radius: taps on each side; H and W must be larger.
    """
    taps = torch.arange(-radius, radius + 1, device=x.device)
    kernel = torch.exp(-0.5 * (taps / sigma.to(x.device)[:, None].clamp(min=1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[..., None, None, None]
    for dim, pad in ((2, (0, 0, radius, radius)), (3, (radius, radius, 0, 0))):
        padded = F.pad(x, pad, mode="replicate")
        x = torch.zeros_like(x)
        for tap in range(len(taps)):
            x += kernel[:, tap] * padded.narrow(dim, tap, x.shape[dim])
    return x


def enlarge(field: Tensor, cell: int, size: tuple[int, int]) -> Tensor:
    """A field given by cells, by pixels: (n, C, H, W)."""
    if cell > 1:
        field = F.interpolate(field, scale_factor=float(cell), mode="bilinear", align_corners=False)
    return field[..., : size[0], : size[1]]


def _relative(length: int, device: torch.device) -> Tensor:
    return (torch.arange(length, device=device) + 0.5) / length
