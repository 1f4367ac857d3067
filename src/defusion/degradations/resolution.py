"""Loss of resolution: blurred, sampled down, and up again to the size it had."""

from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity
from defusion.random import Generators, uniform
from defusion.types import Image, Params

BICUBIC, BILINEAR, AREA = range(3)
"""The values of the parameters "down" and "up"."""

STRIP = 256
"""Rows of a picture resampled at once: the cost grows with the picture, not with its square."""


@dataclass(frozen=True)
class Downsample(Degradation):
    """y = up(down_r(x * k)): a Gaussian blur k, the resolution divided by r, and the size restored.

    Both resamplings are antialiased interpolations with a ratio and a method of each sample, as in the
    Real-ESRGAN chain. Lengths are in pixels. The grid of the low resolution starts at the top left corner
    and may end beyond the bottom right one, so that r need not divide the size.

    Attributes:
        max_ratio: r at severity 1; r = 1 + severity (max_ratio - 1).
        sigma: range of k's standard deviation at severity 1, in pixels; it is scaled by the severity.
        methods: probabilities of bicubic, bilinear and area, for down and for up.

    Raises:
        ValueError: if `max_ratio` is below 1 or `methods` are not probabilities that add up to 1.
    """

    max_ratio: float = 4.0
    sigma: tuple[float, float] = (0.2, 3.0)
    methods: tuple[float, float, float] = (0.5, 0.3, 0.2)

    name = "downsample"

    def __post_init__(self) -> None:
        if self.max_ratio < 1:
            raise ValueError(f"max_ratio: expected at least 1, got {self.max_ratio}")
        if min(self.methods) < 0 or abs(sum(self.methods) - 1) > 1e-6:
            raise ValueError(
                "methods: expected the probabilities of bicubic, bilinear and area, which add up to 1, "
                f"got {self.methods}"
            )

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws "severity", "ratio", "sigma" (pixels), "down", "up" (0 bicubic, 1 bilinear, 2 area): (n,)."""
        severity = draw_severity(n, generators, severity)
        blur, down, up = uniform(n, (3,), generators).unbind(1)
        bounds = torch.tensor(self.methods).cumsum(0)[:2]
        return {
            "severity": severity,
            "ratio": 1 + severity * (self.max_ratio - 1),
            "sigma": severity * (self.sigma[0] + (self.sigma[1] - self.sigma[0]) * blur),
            "down": torch.bucketize(down.contiguous(), bounds, right=True),
            "up": torch.bucketize(up.contiguous(), bounds, right=True),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Resamples the rows, then the columns; see `Degradation.apply`."""
        lens = {name: value.to(x.device) for name, value in params.items()}
        y = self._resample_rows(x.float(), lens)
        y = self._resample_rows(y.mT, lens).mT
        return y.clamp(0, 1).to(x.dtype)

    def _resample_rows(self, x: Tensor, params: Params) -> Tensor:
        """Applies up(down(k)) along the rows of (n, 3, H, W), strip by strip."""
        height = x.shape[2]
        margin = int(4 * self.max_ratio + 3 * self.sigma[1]) + 1
        strips = []
        for start in range(0, height, STRIP):
            stop = min(start + STRIP, height)
            first, last = max(start - margin, 0), min(stop + margin, height)
            matrix = resampling_matrix(range(start, stop), range(first, last), height, params)
            strips.append(matrix[:, None] @ x[:, :, first:last])
        return strips[0] if len(strips) == 1 else torch.cat(strips, dim=2)


def resampling_matrix(outputs: range, inputs: range, length: int, params: Params) -> Tensor:
    """The matrices (n, len(outputs), len(inputs)) of up(down(k)) along one side of a picture.

    Sample k of the low resolution lies at (k + 1/2) r - 1/2 on the pixel axis; going down, it is a mean of
    the pixels about it, and going up, a pixel is a mean of the samples about it, by the same weights.

    Args:
        outputs: the pixels wanted.
        inputs: the pixels that they may depend on.
        length: number of pixels of the whole side.
        params: "ratio", "sigma", "down" and "up", (n,), on the device of the result.
    """
    ratio = params["ratio"][:, None, None]
    device = ratio.device
    pixels = torch.arange(inputs.start, inputs.stop, device=device)
    wanted = torch.arange(outputs.start, outputs.stop, device=device)[:, None]
    count = len(inputs) + 4
    first = torch.floor((inputs.start + 0.5) / ratio - 0.5).clamp(min=2) - 2
    low = first + torch.arange(count, device=device)[:, None]
    centre = (low + 0.5) * ratio - 0.5
    inside = (low < torch.ceil(length / ratio)).float()
    down = _normalise(_interpolation(pixels - centre, ratio, params["down"]) * inside)
    up = _normalise(_interpolation(wanted - centre.mT, ratio, params["up"]) * inside.mT)
    sigma = params["sigma"][:, None, None].clamp(min=1e-3)
    blur = _normalise(torch.exp(-0.5 * ((pixels[:, None] - pixels) / sigma) ** 2))
    return up @ (down @ blur)


def _interpolation(distance: Tensor, ratio: Tensor, method: Tensor) -> Tensor:
    """Weight of a pixel for a sample of the low resolution at `distance` pixels from it."""
    scaled = (distance / ratio).abs()
    near = (1.5 * scaled - 2.5) * scaled**2 + 1
    far = ((-0.5 * scaled + 2.5) * scaled - 4) * scaled + 2
    bicubic = torch.where(scaled < 1, near, torch.where(scaled < 2, far, 0.0))
    bilinear = (1 - scaled).clamp(min=0)
    area = ((ratio + 1) / 2 - distance.abs()).clamp(0, 1)
    method = method[:, None, None]
    return torch.where(method == BICUBIC, bicubic, torch.where(method == BILINEAR, bilinear, area))


def _normalise(weights: Tensor) -> Tensor:
    """Rows that add up to 1; rows without any weight stay 0."""
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total)
