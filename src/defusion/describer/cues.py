"""What tells blurs and haze apart without training: the power spectrum, the dark channel, the brightness."""

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import luma
from defusion.types import Image

BINS = (32, 17)
"""Of the spectrum: vertical frequencies from -1/2 to 1/2 cycle a pixel, horizontal ones from 0 to 1/2."""
QUANTILES = 9
"""Of the dark channel, and of the brightness."""
CUES = BINS[0] * BINS[1] + 2 * QUANTILES
"""Numbers of one picture."""

_PATCH = 8
"""Side in pixels of the squares whose darkest value the dark channel takes."""


def cues(pictures: Image) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, CUES), about -2 to 2; of large pictures, means of those of crops.

    - The logarithm of the power spectrum of the luma under a Hann window: a disc of defocus leaves rings of zeros, a
      moving camera stripes, a reduced resolution an edge, JPEG peaks at eighths, noise a floor.
    - Quantiles of the dark channel (He et al., "Single image haze removal using dark channel prior", 2009), which
      haze lifts, and of the luma.
    """
    x = pictures.float()
    grey = luma(x)[:, 0]
    height, width = grey.shape[1:]
    window = torch.hann_window(height, device=x.device)[:, None] * torch.hann_window(width, device=x.device)
    power = torch.fft.rfft2((grey - grey.mean((1, 2), keepdim=True)) * window).abs().square() / window.square().sum()
    spectrum = F.adaptive_avg_pool2d(torch.fft.fftshift((power + 1e-6).log(), dim=1)[:, None], BINS)
    dark = -F.max_pool2d(-x.amin(1, keepdim=True), _PATCH, ceil_mode=True)
    levels = torch.linspace(0, 1, QUANTILES, device=x.device)
    low, bright = (torch.quantile(own.flatten(1), levels, dim=1).mT for own in (dark, grey))
    return torch.cat([(spectrum.flatten(1) + 8) / 4, 4 * low - 1, 4 * bright - 2], dim=1)
