"""The U-Net's building blocks: AdaLN-Zero residual block, cross-attention, resampling."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zeroed(module: nn.Module) -> nn.Module:
    """The module with all its parameters set to zero: an output that starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def channel_norm(x: Tensor) -> Tensor:
    """Layer normalisation over the channels of each position, (B, C, H, W).

    Unlike group normalisation it is the same on a crop and on a whole picture, and in
    channels-last memory it is one pass over contiguous rows.
    """
    return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],)).permute(0, 3, 1, 2)


def time_features(t: Tensor, channels: int) -> Tensor:
    """Sinusoidal features of diffusion time t in [0, 1], (B,) -> (B, channels) (Vaswani et al., 2017)."""
    half = channels // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=t.device) / half)
    angles = 1000 * t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Attention(nn.Module):
    """Multi-head attention of picture features to a sequence, through SDPA; its output starts at zero.

    To tokens it is the cross-attention of a text-to-image U-Net, and of VIA; to itself (no
    `context_channels`) the self-attention of ADM. Keys and values have no bias: an all-zero
    sequence (the null instruction) adds exactly nothing.
    """

    def __init__(self, channels: int, context_channels: int | None = None, head_channels: int = 64) -> None:
        super().__init__()
        self.heads = max(1, channels // head_channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(context_channels or channels, channels, bias=False)
        self.value = nn.Linear(context_channels or channels, channels, bias=False)
        self.out = zeroed(nn.Linear(channels, channels, bias=False))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(B, C, H, W), (B, N, context_channels) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        rows = F.layer_norm(x.permute(0, 2, 3, 1), (channels,)).flatten(1, 2)
        context = rows if context is None else context
        query, key, value = (
            project(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, source in ((self.query, rows), (self.key, context), (self.value, context))
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return self.out(mixed).view(batch, height, width, channels).permute(0, 3, 1, 2)


class Block(nn.Module):
    """ADM's residual block with spatial AdaLN-Zero: x + gate * conv(silu(conv(silu(norm(x) * (1 + scale) + shift)))).

    Scale, shift and gate are maps made of the bridge's features and the time embedding by a 1x1
    convolution that starts at zero (paper, section "Image Restoration Bridge"; Peebles & Xie, 2023),
    so that an untrained block is the identity.
    """

    def __init__(self, channels: int, time_channels: int, bridge: bool) -> None:
        super().__init__()
        self.from_time = nn.Linear(time_channels, 3 * channels)
        self.from_bridge = nn.Conv2d(channels, 3 * channels, 1, bias=False) if bridge else None
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        zeroed(self.from_time)
        if self.from_bridge is not None:
            zeroed(self.from_bridge)

    def forward(self, x: Tensor, time: Tensor, feature: Tensor | None) -> Tensor:
        """x and the bridge's feature (B, C, H, W), time (B, time_channels) -> (B, C, H, W)."""
        modulation = self.from_time(time)[:, :, None, None]
        if self.from_bridge is not None:
            modulation = modulation + self.from_bridge(feature)
        scale, shift, gate = modulation.chunk(3, dim=1)
        inner = self.conv_in(F.silu(torch.addcmul(shift, channel_norm(x), 1 + scale)))
        return torch.addcmul(x, gate, self.conv_out(F.silu(inner)))


class Downsample(nn.Module):
    """Halves the resolution: 2x2 convolution of stride 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2)."""
        return self.conv(x)


class Upsample(nn.Module):
    """Doubles the resolution: 1x1 convolution and nearest neighbours, which leave no grid as a pixel shuffle does."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        return F.interpolate(self.conv(x), scale_factor=2, mode="nearest")
