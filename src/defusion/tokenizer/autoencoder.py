"""The convolutional encoder and decoder of the tokenizer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

GROUP_CHANNELS = 16
"""Channels that share one group of the group norms; widths are multiples of it."""


class ResidualBlock(nn.Module):
    """x + convolutions(x), pre-activation, (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            _norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Downsample(nn.Module):
    """Halves the resolution: convolution + the 2x2 patches averaged over groups of channels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.after = after
        self.convolution = nn.Conv2d(before, after, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pixel_unshuffle(x, 2).unflatten(1, (self.after, -1)).mean(2)
        return self.convolution(x) + shortcut


class Upsample(nn.Module):
    """Doubles the resolution: convolution + the channels repeated and shuffled into 2x2 patches."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.repeats = 4 * after // before
        self.convolution = nn.Conv2d(before, 4 * after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x.repeat_interleave(self.repeats, dim=1)
        return F.pixel_shuffle(self.convolution(x) + shortcut, 2)


class Encoder(nn.Sequential):
    """(B, 3, H, W) in [-1, 1] -> (B, C, H / stride, W / stride).

    From the picture to the features there is a path without nonlinearity, as in the residual
    autoencoding of DC-AE (Chen et al. 2025): the features tell grounds apart from the first step,
    so that the codebook does not collapse.
    """

    def __init__(self, channels: Sequence[int], blocks: int, token_channels: int) -> None:
        first, last = channels[0], channels[-1]
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, first, 3, padding=1)]
        layers += _blocks(first, blocks)
        for before, after in pairwise(channels):
            layers += [Downsample(before, after), *_blocks(after, blocks)]
        super().__init__(*layers, nn.Conv2d(last, token_channels, 1))


class Decoder(nn.Sequential):
    """(B, C, h, w) -> (B, 3, h * stride, w * stride), around [-1, 1]; the encoder mirrored."""

    def __init__(self, channels: Sequence[int], blocks: int, token_channels: int) -> None:
        first, last = channels[0], channels[-1]
        layers: list[nn.Module] = [nn.Conv2d(token_channels, last, 3, padding=1)]
        layers += _blocks(last, blocks)
        for before, after in pairwise(reversed(channels)):
            layers += [Upsample(before, after), *_blocks(after, blocks)]
        super().__init__(*layers, nn.Conv2d(first, 12, 3, padding=1), nn.PixelShuffle(2))

    @property
    def last_layer(self) -> nn.Parameter:
        """The weight of the last convolution, where VQGAN balances its losses."""
        return cast(nn.Parameter, self[-2].weight)


def _blocks(channels: int, number: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(number)]


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP_CHANNELS, channels)
