"""What a degradation is: parameters are drawn once, then applied to pictures of any size."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from defusion.random import Generators, uniform
from defusion.types import Image, Params

MIN_SEVERITY = 0.1
"""The mildest severity drawn when none is asked for: a degradation that is named is there."""


class Degradation(ABC):
    """One image formation model `lq = D(hq)`, batched, every parameter per sample.

    `draw` and `apply` are apart, so that one draw degrades a 64 px crop, a 128 px ground and a
    4K photograph in the same way: lengths are in pixels, depth in relative coordinates. The
    parameters fix everything but the spatial fields (noise, streaks, flakes, drops), which
    `apply` takes from its own generators: the same statistics, not the same pixels.
    """

    name: str

    @abstractmethod
    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws the parameters of `n` samples.

        Args:
            n: number of samples.
            generators: on the CPU, one for the batch or one a sample.
            severity: (n,) in [0, 1]; 0 is the identity, 1 the strongest of the published range.
                Drawn uniformly from [MIN_SEVERITY, 1] when not given.

        Returns:
            name -> (n, ...) on the CPU, with at least "severity".
        """

    @abstractmethod
    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Degrades `x`.

        Args:
            x: (n, 3, H, W) in [0, 1]; left as it is.
            params: from `draw`, the same n.
            generators: on the device of `x`, one for the batch or one a sample.

        Returns:
            (n, 3, H, W) in [0, 1], the dtype of `x`.
        """

    def __call__(self, x: Image, generators: Generators, severity: Tensor | None = None) -> Image:
        """Draws and applies in one step, for pictures on the CPU."""
        return self.apply(x, self.draw(len(x), generators, severity), generators)


def draw_severity(n: int, generators: Generators, severity: Tensor | None) -> Tensor:
    """The severities given, checked, or fresh ones: (n,) in [0, 1]."""
    if severity is None:
        return uniform(n, (), generators, MIN_SEVERITY, 1.0)
    if severity.shape != (n,):
        raise ValueError(f"severity: expected shape ({n},), got {tuple(severity.shape)}")
    if not bool(((severity >= 0) & (severity <= 1)).all()):
        raise ValueError(f"severity: expected values in [0, 1], got {severity.tolist()}")
    return severity.float()


def per_sample(value: Tensor, x: Tensor) -> Tensor:
    """A (n, ...) parameter on the device and in the dtype of `x`, shaped (n, ..., 1, 1) to broadcast over (n, C, H, W).

    (n,) becomes (n, 1, 1, 1) and (n, 3) becomes (n, 3, 1, 1).
    """
    value = value.to(x.device, x.dtype)
    if value.ndim == 1:
        value = value[:, None]
    return value[..., None, None]


def to_linear(x: Image) -> Image:
    """Linear light from sRGB by the IEC 61966-2-1 curve."""
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(x: Image) -> Image:
    """sRGB from linear light by the IEC 61966-2-1 curve."""
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def luma(x: Image) -> Tensor:
    """Luma by the weights of BT.601, (B, 3, H, W) -> (B, 1, H, W)."""
    return (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
