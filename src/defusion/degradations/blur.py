"""Blur by a moving camera and by a lens out of focus, both in linear light."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, to_linear, to_srgb
from defusion.random import Generators, normal, uniform
from defusion.types import Image, Params

STEPS = 96
"""Steps of a camera trajectory, at most 0.6 pixels each."""
STRIP = 128
"""Rows of a picture that are convolved at once."""
PUBLISHED_LENGTH = 60.0
"""Longest path of a camera during the exposure, in pixels (DeblurGAN)."""


@dataclass(frozen=True)
class MotionBlur(Degradation):
    """Blur along the path of a shaking camera, one kernel a sample.

    The paths are the random trajectories of Boracchi and Foi ("Modeling the performance of image
    restoration from motion blur", 2012) with the parameters of DeblurGAN, and nearly straight ones, as of a
    camera that pans. A path spans up to severity * `max_extent` pixels and is at most severity * 60 long.

    Attributes:
        max_extent: diameter of the path about its centre of mass at severity 1, in pixels (GoPro: 10-25).
            Kernels have the odd size 2 ceil(max_extent / 2) + 1; pictures must be larger than half of it.
        straight: share of nearly straight paths.
    """

    max_extent: float = 25.0
    straight: float = 0.3

    name = "motion_blur"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws "severity" (n,) and "kernel" (n, K, K), the exposure at each pixel, which adds up to 1."""
        severity = draw_severity(n, generators, severity)
        path = camera_paths(n, generators, self.straight)
        path = path - path.mean(1, keepdim=True)
        scale = (self.max_extent / 2 / path.abs().amax(1)).clamp(max=PUBLISHED_LENGTH)
        return {"severity": severity, "kernel": self._expose(path * (severity * scale)[:, None])}

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Averages the picture along the path in linear light; see `Degradation.apply`."""
        blurred = convolve(to_linear(x.float()), params["kernel"])
        return to_srgb(blurred.clamp_(0, 1)).to(x.dtype)

    def _expose(self, path: Tensor) -> Tensor:
        """Bilinear exposure of the pixels under each of the path's points, complex (n, STEPS) pixels.

        Points are rounded to 1/256 pixel. The sums are then exact, so that a kernel has the same bits
        whatever the batch that it is drawn in.
        """
        half = math.ceil(self.max_extent / 2)
        pixels = torch.arange(-half, half + 1)
        points = (torch.view_as_real(path) * 256).round().float() / 256
        along_x, along_y = (1 - (points[..., None] - pixels).abs()).clamp_(min=0).unbind(2)
        return along_y.mT @ along_x / STEPS


def camera_paths(n: int, generators: Generators, straight: float) -> Tensor:
    """Paths of a shaking camera at constant speed, complex128 (n, STEPS), each of length 1.

    At every step the direction takes a Gaussian shake, a pull to the origin and, rarely, a big shake that
    turns it back, of the published sizes. With `STEPS` steps in place of 2000 the paths wander less: those
    of 2000 steps stay within a few pixels, far less than the blur of GoPro.
    """
    kind, anxiety, pull, jolt, shake, angle = uniform(n, (6,), generators).double().unbind(1)
    anxiety = 0.1 * anxiety * torch.where(kind < straight, 0.02, 1.0)
    pull = 0.7 * pull * anxiety * PUBLISHED_LENGTH
    turning, chance = uniform(n, (2, STEPS), generators).double().unbind(1)
    jolted = chance < (0.2 * jolt * anxiety)[:, None]
    turns = 1 + 2 * jolted * torch.exp(1j * (math.pi + turning - 0.5))
    shakes = torch.view_as_complex(normal(n, (STEPS, 2), generators).double())
    shakes = shakes * (10 * shake * anxiety)[:, None]
    direction = torch.exp(2j * math.pi * angle)
    path = np.zeros((STEPS, n), complex)  # NumPy's calls take a fifth of the time of PyTorch's
    heading, pulled = direction.numpy(), pull.numpy()
    for step, (turn, push) in enumerate(zip(turns.T.numpy()[:-1], shakes.T.numpy()[:-1], strict=True)):
        heading = np.sign(heading * turn + push - pulled * path[step])
        path[step + 1] = path[step] + heading / STEPS
    return torch.from_numpy(path).T.contiguous()


@dataclass(frozen=True)
class DefocusBlur(Degradation):
    """Blur of a lens out of focus, by the image of its aperture: a disc or a polygon.

    The radius varies smoothly over the picture, as the depth of a scene does: a random quadratic in
    relative coordinates goes from the nearest to the farthest radius. The apertures
    of three radii are blended between.

    Attributes:
        max_radius: radius of the aperture's image at severity 1, in pixels.
        min_share: the smallest share that the radius at one end of the depth has of that at the other.
        polygon: share of apertures with 5 to 8 straight blades instead of a round one.
    """

    max_radius: float = 8.0
    min_share: float = 0.25
    polygon: float = 0.5

    name = "defocus_blur"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws the parameters of the lens and of the depth.

        Returns:
            "severity": (n,); "radius": (n, 2), the smallest and the largest in pixels; "blades": (n,), 0 is a
            disc; "rotation": (n,) of the polygon in radians; "depth": (n, 5), coefficients of x, y, x^2, xy
            and y^2, the coordinates in [-1, 1].
        """
        severity = draw_severity(n, generators, severity)
        share, kind, blades, rotation = uniform(n, (4,), generators).unbind(1)
        largest = severity * self.max_radius
        smallest = largest * (self.min_share + (1 - self.min_share) * share)
        return {
            "severity": severity,
            "radius": torch.stack([smallest, largest], dim=1),
            "blades": torch.where(kind < self.polygon, 5 + (4 * blades).floor(), 0.0),
            "rotation": rotation * 2 * math.pi,
            "depth": normal(n, (5,), generators) * torch.tensor([0.4, 0.4, 0.2, 0.2, 0.2]),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Spreads every point over the aperture in linear light; see `Degradation.apply`."""
        smallest, largest = params["radius"].unbind(1)
        radii = torch.stack([smallest, (smallest + largest) / 2, largest], dim=1)
        kernels = aperture(radii, params["blades"], params["rotation"], int(self.max_radius + 0.5))
        linear = to_linear(x.float())
        sharpest, middle, widest = (convolve(linear, kernel) for kernel in kernels.unbind(1))
        depth = _depth(params["depth"].to(x.device), *x.shape[2:])[:, None]
        far, near = (2 * depth - 1).clamp(min=0), (1 - 2 * depth).clamp(min=0)
        blurred = sharpest * near + middle * (1 - near - far) + widest * far
        return to_srgb(blurred.clamp_(0, 1)).to(x.dtype)


def aperture(radius: Tensor, blades: Tensor, rotation: Tensor, half: int) -> Tensor:
    """Anti-aliased images of apertures, each of which adds up to 1.

    Args:
        radius: (n, L) in pixels, of the disc or of the circle around the polygon.
        blades: (n,) number of the polygon's sides; 0 is a disc.
        rotation: (n,) of the polygon in radians.
        half: the kernels' half size in pixels.

    Returns:
        (n, L, 2 half + 1, 2 half + 1).
    """
    pixels = torch.arange(-half, half + 1.0)
    distance = torch.hypot(pixels[:, None], pixels)
    angle = torch.atan2(pixels[:, None], pixels)
    side = 2 * math.pi / blades.clamp(min=3)[:, None, None]
    to_corner = torch.cos(torch.remainder(angle - rotation[:, None, None], side) - side / 2) / torch.cos(side / 2)
    distance = distance * torch.where(blades[:, None, None] > 0, to_corner, 1.0)
    covered = (radius[..., None, None] - distance[:, None] + 0.5).clamp_(0, 1)
    return covered / covered.sum((2, 3), keepdim=True)


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolves every sample with its own kernel, the border reflected.

    One depthwise convolution, whose groups are the channels of all samples and, because many groups run
    faster than few, the strips of large pictures.

    Args:
        x: (n, C, H, W).
        kernels: (n, K, K), K odd; H and W larger than K / 2.

    Returns:
        (n, C, H, W).
    """
    n, channels, height, width = x.shape
    half, count = kernels.shape[-1] // 2, math.ceil(height / STRIP)
    strip = math.ceil(height / count)
    padded = F.pad(F.pad(x, (half,) * 4, mode="reflect"), (0, 0, 0, count * strip - height))
    strips = padded.unfold(2, strip + 2 * half, strip).transpose(3, 4).flatten(0, 2)
    weight = kernels.to(x.device).flip(1, 2).repeat_interleave(channels * count, dim=0)
    blurred = F.conv2d(strips[None], weight[:, None], groups=len(weight))
    return blurred.view(n, channels, count * strip, width)[:, :, :height]


def _depth(coefficients: Tensor, height: int, width: int) -> Tensor:
    """Relative depth in [0, 1], (n, H, W)."""
    y = torch.linspace(-1, 1, height, device=coefficients.device)[:, None]
    x = torch.linspace(-1, 1, width, device=coefficients.device)
    a, b, aa, ab, bb = coefficients[..., None, None].unbind(1)
    return (0.5 + a * x + b * y + aa * x * x + ab * x * y + bb * y * y).clamp_(0, 1)
