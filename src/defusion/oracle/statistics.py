"""What a degradation did to a picture, in numbers that do not depend on where each streak or grain fell."""

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.types import Image

_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_VISIBLE = (1.5 / 255, 0.03, 0.1)
_LEVELS = 4
_GRID = 3
_TONES = 4
_LUMA = (0.299, 0.587, 0.114)
_FLOOR = 1e-3
"""Added to strengths before their logarithm: a quarter of an 8-bit step."""


def statistics(y: Image, x: Image) -> Tensor:
    """Statistics of degraded pictures against the clean one.

    Colour: mean of the change and log of its strength, by channel. Tone: slope of y on x, and mean change, by
    brightness. Depth: mean change, by place. Particles and noise: quantiles of the change of luminance, and the
    share of pixels that it changes; in octave bands, the log of its strength, its peakedness, its skew, and its
    direction.

    Args:
        y: (n, 3, H, W).
        x: (1, 3, H, W).

    Returns:
        (n, S).
    """
    change = y - x
    grey = (change * x.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    clean = (x * x.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
    centred = clean - clean.mean()
    slope = (grey * centred).mean((2, 3)) / centred.square().mean().clamp(min=1e-6)
    parts = [
        change.mean((2, 3)),
        _log(_strength(change)),
        slope,
        _by_tone(grey, clean),
        F.adaptive_avg_pool2d(grey, _GRID).flatten(1),
        torch.stack([(grey.abs() > least).float().mean((1, 2, 3)) for least in _VISIBLE], dim=1),
        torch.quantile(grey.flatten(1)[:, ::5], grey.new_tensor(_QUANTILES), dim=1).mT,
        *_bands(grey),
    ]
    return torch.cat(parts, dim=1)


def _strength(change: Tensor) -> Tensor:
    """Standard deviation of each channel, (n, C); `Tensor.std` takes several times as long."""
    return (change.square().mean((2, 3)) - change.mean((2, 3)).square()).clamp(min=0).sqrt()


def _log(strength: Tensor) -> Tensor:
    return (strength + _FLOOR).log()


def _by_tone(grey: Tensor, clean: Tensor) -> Tensor:
    """Mean change in each quarter of the pixels from dark to bright, (n, 4)."""
    order = clean.flatten().argsort()
    ordered = grey.flatten(1).index_select(1, order)
    return torch.stack([part.mean(1) for part in ordered.tensor_split(_TONES, dim=1)], dim=1)


def _bands(grey: Tensor) -> list[Tensor]:
    parts = []
    for _ in range(_LEVELS):
        coarse = F.avg_pool2d(grey, 2)
        size = (coarse.shape[2] * 2, coarse.shape[3] * 2)
        band = grey[..., : size[0], : size[1]] - F.interpolate(coarse, size)
        strength = _strength(band)
        scale = strength + _FLOOR
        parts += [_log(strength), band.abs().mean((2, 3)) / scale, (band * band * band).mean((2, 3)) / scale**3]
        parts.append(_direction(grey))
        grey = coarse
    return parts


def _direction(grey: Tensor) -> Tensor:
    """Anisotropy of the gradients as cos and sin of twice their angle, times its degree: (n, 2)."""
    down, across = grey.diff(dim=2)[..., :-1], grey.diff(dim=3)[..., :-1, :]
    dd, aa, da = (product.mean((2, 3)) for product in (down * down, across * across, down * across))
    total = dd + aa + _FLOOR**2
    return torch.cat([(aa - dd) / total, 2 * da / total], dim=1)
