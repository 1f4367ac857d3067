"""JPEG compression: the real transform, batched, with one quality a sample."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.random import Generators
from defusion.types import Image, Params

LUMINANCE_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation steps of Y at quality 50 (ITU-T T.81, table K.1)."""
CHROMINANCE_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantisation steps of Cb and Cr at quality 50 (ITU-T T.81, table K.2)."""


@dataclass(frozen=True)
class Jpeg(Degradation):
    """JPEG as libjpeg writes and reads it by default: 8x8 DCT, chroma 4:2:0, the standard tables.

    quality = 100 (min_quality / 100)^severity, rounded: 74 at severity 0.1, 22 at 0.5, 5 at 1. At severity 0
    the picture is not compressed at all. Entropy coding is lossless and therefore left out.

    Attributes:
        min_quality: libjpeg's quality at severity 1, in [1, 99].

    Raises:
        ValueError: if `min_quality` is out of range.
    """

    min_quality: float = 5.0

    name = "jpeg"

    def __post_init__(self) -> None:
        if not 1 <= self.min_quality <= 99:
            raise ValueError(f"min_quality: expected libjpeg's quality in [1, 99], got {self.min_quality}")

    def severity(self, quality: float) -> float:
        """The severity at which pictures are compressed with `quality`.

        Raises:
            ValueError: if `quality` is not in [min_quality, 100].
        """
        if not self.min_quality <= quality <= 100:
            raise ValueError(f"quality: expected a value in [{self.min_quality}, 100], got {quality}")
        return math.log(quality / 100) / math.log(self.min_quality / 100)

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws "severity" and "quality" (an integer in [min_quality, 100]): (n,)."""
        severity = draw_severity(n, generators, severity)
        return {"severity": severity, "quality": (100 * (self.min_quality / 100) ** severity).round()}

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Compresses and decompresses; see `Degradation.apply`."""
        y = jpeg(x.float(), params["quality"].to(x.device)).to(x.dtype)
        return torch.where(per_sample(params["severity"], x) > 0, y, x)


def jpeg(x: Image, quality: Tensor) -> Image:
    """The picture that a JPEG decoder shows, (n, 3, H, W) in [0, 1], of 8 bits.

    Args:
        x: (n, 3, H, W) in [0, 1], float32.
        quality: (n,) in [1, 100].
    """
    height, width = x.shape[-2:]
    bytes_ = F.pad((x * 255).round(), (0, -width % 16, 0, -height % 16), mode="replicate")
    luma, chroma = _to_ycbcr(bytes_).round_().tensor_split((1,), dim=1)
    luma = _quantise(luma, quantisation_table(LUMINANCE_TABLE, quality))
    chroma = _quantise(F.avg_pool2d(chroma, 2).round_(), quantisation_table(CHROMINANCE_TABLE, quality))
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear").round_()
    return _to_rgb(luma, chroma)[..., :height, :width].round().clamp_(0, 255) / 255


def quantisation_table(table: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Steps of the coefficients, (n, 8, 8), scaled by libjpeg's rule (`jpeg_quality_scaling`)."""
    percent = torch.where(quality < 50, torch.floor(5000 / quality), 200 - 2 * quality)
    steps = torch.tensor(table, device=quality.device) * percent[:, None, None]
    return torch.floor((steps + 50) / 100).clamp_(1, 255)


def _quantise(plane: Tensor, steps: Tensor) -> Tensor:
    """Rounds the DCT coefficients of 8x8 blocks of (n, C, H, W) bytes to multiples of `steps` (n, 8, 8)."""
    n, channels, height, width = plane.shape
    blocks = plane.view(n, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    transform, step = _dct2(plane.device), steps.view(n, 1, 64)
    coefficients = (blocks.reshape(n, -1, 64) - 128) @ transform.mT
    decoded = (coefficients.div_(step).round_().mul_(step) @ transform).add_(128).round_().clamp_(0, 255)
    return decoded.view(n, channels, height // 8, width // 8, 8, 8).transpose(3, 4).reshape(plane.shape)


def _dct2(device: torch.device) -> Tensor:
    """The orthonormal two-dimensional DCT-II of flattened 8x8 blocks, (64, 64)."""
    index = torch.arange(8, device=device, dtype=torch.float64)
    dct = torch.cos(math.pi / 8 * index[:, None] * (index + 0.5)) / 2
    dct[0] /= math.sqrt(2)
    return torch.kron(dct, dct).float()


def _to_ycbcr(x: Tensor) -> Tensor:
    """Y, Cb and Cr of RGB bytes (JFIF)."""
    red, green, blue = x.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128], dim=1)


def _to_rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    y, (blue, red) = luma[:, 0], (chroma - 128).unbind(1)
    return torch.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], dim=1)
