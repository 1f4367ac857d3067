"""IRB, the Image Restoration Bridge: lq to one feature map per level of the U-Net (paper, section 3)."""

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from defusion.unet.blocks import Downsample


class ImageRestorationBridge(nn.Module):
    """A light convolutional network in the manner of T2I-Adapter (Mou et al., 2024).

    One 3x3 residual layer a level; the maps do not depend on diffusion time, so that a sampler of
    many steps computes them once.
    """

    def __init__(self, channels: Sequence[int], patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(3 * patch**2, channels[0], 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in channels)
        self.down = nn.ModuleList(Downsample(above, below) for above, below in itertools.pairwise(channels))

    def forward(self, lq: Tensor) -> list[Tensor]:
        """lq (B, 3, H, W) -> one (B, C_i, H / (patch 2^i), W / (patch 2^i)) map a level, finest first."""
        x = self.stem(F.pixel_unshuffle(lq, self.patch))
        maps = []
        for level, layer in enumerate(self.layers):
            x = x + layer(F.silu(x))
            maps.append(x)
            if level < len(self.down):
                x = self.down[level](x)
        return maps
