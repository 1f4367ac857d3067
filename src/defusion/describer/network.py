"""The describer: from a degraded picture to the instruction that shows what is wrong with it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.degradations.library import NAMES, UNSHARP
from defusion.describer.cues import CUES, cues
from defusion.describer.description import Description
from defusion.grounds.chart import Chart
from defusion.imageio import eight_bit
from defusion.instruction import NULL
from defusion.precision import autocast
from defusion.tokenizer.network import Tokenizer
from defusion.types import Image
from defusion.unet.blocks import Downsample, channel_norm
from defusion.weights import WeightsError, load_weights, save_weights

_BLOCK = 16
"""Pixels of JPEG's largest blocks, those of colours at half the resolution."""
_UNSHARP = [NAMES.index(name) for name in UNSHARP]
MOST_CROPS = 24
"""Of a large picture that are looked at, spread evenly over it."""


@dataclass(frozen=True)
class DescriberConfig:
    """The shape of a describer.

    Attributes:
        crop_size: side in px of the crops that a picture is looked at in; the training notes that of its own.
        channels: of each stage; the first works on 2x2 patches, each later one at half the resolution.
        blocks: residual blocks a stage.
        width: of the head.
    """

    crop_size: int = 128
    channels: tuple[int, ...] = (40, 80, 160, 160)
    blocks: tuple[int, ...] = (2, 2, 2, 1)
    width: int = 256

    def __post_init__(self) -> None:
        if not self.channels or len(self.channels) != len(self.blocks):
            raise ValueError(
                f"blocks: expected one number for each of {len(self.channels)} stages, at least one, got {self.blocks}"
            )
        if self.crop_size % self.stride:
            raise ValueError(f"crop_size: expected a multiple of {self.stride}, got {self.crop_size}")

    @property
    def stride(self) -> int:
        """Pixels that one of the last features stands for, along a side."""
        return 2 ** len(self.channels)


class Logits(NamedTuple):
    """What the network says of each picture."""

    names: Tensor
    """(B, 11), in the order of the library: of each degradation being there."""
    severities: Tensor
    """(B, 11): logits of their severities in [0, 1]."""
    codes: Tensor
    """(B, N, K): of each code of the codebook at each place of the canonical chart."""


class Describer(nn.Module):
    """Reads a picture and writes the instruction that shows what degraded it.

    A convolutional network gives the statistics of its last features: their means and deviations over the picture.
    They and the picture's own cues (`defusion.describer.cues`) make one vector. From it a linear layer tells the
    degradations and their severities, and a small network, modulated by it, writes the code of each place of the
    canonical chart as it would look if it had been degraded like the picture.
    """

    def __init__(self, config: DescriberConfig, tokenizer: Tokenizer) -> None:
        """Makes an untrained describer for the codebook of a tokenizer, which stays frozen."""
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer.requires_grad_(False).eval()
        known, widths = tokenizer.config, config.channels
        stages: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[0], 3, padding=1)]
        stages += _blocks(widths[0], config.blocks[0])
        for (before, after), count in zip(pairwise(widths), config.blocks[1:], strict=True):
            stages += [Downsample(before, after), *_blocks(after, count)]
        self.features = nn.Sequential(*stages)
        self.vector = nn.Linear(2 * widths[-1], config.width)
        self.cues = nn.Sequential(nn.Linear(CUES, 96), nn.SiLU(), nn.Linear(96, config.width))
        self.names = nn.Linear(config.width, 2 * len(NAMES))
        self.places = nn.Parameter(torch.randn(known.num_tokens, config.width) / config.width**0.5)
        self.modulation = nn.Linear(config.width, 2 * config.width)
        self.writing = nn.Sequential(
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, known.num_codes),
        )

    def train(self, mode: bool = True) -> Self:
        """The tokenizer stays in evaluation mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def statistics(self, pictures: Image) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides in multiples of the stride -> (B, 2 C + CUES)."""
        x = channel_norm(self.features(2 * pictures - 1)).flatten(2).float()
        return torch.cat([x.mean(2), (x.var(2, correction=0) + 1e-6).sqrt(), cues(pictures)], dim=1)

    def look(self, pictures: Image, most: int = MOST_CROPS) -> Tensor:
        """The statistics of pictures of any size, (B, 3, H, W) in [0, 1] -> (B, 2 C + CUES).

        They are looked at in crops of `config.crop_size` spread over them, at most `most`, whose statistics are
        averaged; crops alone go to the device of the network.
        """
        seen = torch.stack([torch.stack(crops(own, self.config.crop_size)[:most]) for own in pictures])
        found = [self.statistics(own.to(self.places.device)) for own in seen.unbind(1)]
        return torch.stack(found).mean(0)

    def read(self, statistics: Tensor) -> Logits:
        """(B, 2 C + CUES) -> what it says."""
        features, own = statistics.tensor_split([-CUES], dim=1)
        vector = F.silu(self.vector(features) + self.cues(own))
        names, severities = self.names(vector).chunk(2, dim=1)
        scale, shift = self.modulation(vector)[:, None].chunk(2, dim=2)
        places = self.places / self.places.square().mean(1, keepdim=True).sqrt()
        return Logits(names.float(), severities.float(), self.writing(places * (1 + scale) + shift).float())

    def forward(self, pictures: Image) -> Logits:
        """Of pictures of any size, (B, 3, H, W) in [0, 1], see `look`."""
        return self.read(self.look(pictures))

    def describe(self, picture: Image, chart: Chart) -> Description:
        """Describes one picture of any size, (3, H, W) in [0, 1], on the CPU.

        It is looked at as 8 bits hold it, as in training; a large one in crops, see `look`.

        Args:
            picture: degraded, or clean.
            chart: that of the tokenizer.
        """
        device = self.places.device
        ground = chart.canonical(device)
        with autocast(device):
            logits = self(eight_bit(picture)[None])
            confidences = logits.names[0].sigmoid().tolist()
            severities = logits.severities[0].sigmoid().tolist()
            there = [name for name, own in zip(NAMES, present(logits.names)[0].tolist(), strict=True) if own]
            codes = logits.codes.argmax(2) if there else self.tokenizer.indices(ground)
            written = self.tokenizer.decode(self.tokenizer.quantizer.lookup(codes)) if there else ground
        return Description(
            ground=ground.cpu(),
            picture=written.cpu(),
            shown="+".join(there) or NULL,
            codes=codes.cpu(),
            confidences=dict(zip(NAMES, confidences, strict=True)),
            severities=dict(zip(NAMES, severities, strict=True)),
        )

    def hidden_weights(self) -> list[nn.Parameter]:
        """Kernels between the first and the last layers, which an optimiser may orthogonalise."""
        first = self.features[1].weight
        return [own for own in self.features.parameters() if own.ndim > 1 and own is not first]

    def save(self, folder: Path | str) -> None:
        """Writes `config.json` and `describer.safetensors`, without the tokenizer; read by `load`."""
        state = {key: value for key, value in self.state_dict().items() if not key.startswith("tokenizer.")}
        config = asdict(self.config) | {"tokenizer_fingerprint": self.tokenizer.fingerprint()}
        save_weights(folder, state, config, name="describer")

    @classmethod
    def load(cls, folder: Path | str, tokenizer: Tokenizer) -> Self:
        """Reads what `save` wrote, in evaluation mode.

        Args:
            folder: of the describer.
            tokenizer: the one it was trained with.

        Raises:
            WeightsError: if a file is missing or damaged, or the tokenizer is another one.
        """
        state, config = load_weights(folder, name="describer")
        expected, found = config.pop("tokenizer_fingerprint", "none"), tokenizer.fingerprint()
        if found != expected:
            raise WeightsError(
                f"{folder}: was trained with tokenizer {str(expected)[:12]}, but this one is {found[:12]}: "
                "give the describer of these weights, or train one for them"
            )
        try:
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in config.items()
            }
            describer = cls(DescriberConfig(**values), tokenizer)
            kept = {key: value for key, value in describer.state_dict().items() if key.startswith("tokenizer.")}
            describer.load_state_dict(kept | state)
        except (TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{folder}: not weights of this release's Describer: {error}") from error
        return describer.eval()


def present(names: Tensor) -> Tensor:
    """What is there, by logits (B, 11): whatever is more likely than not.

    Of losses of sharpness, of which there is at most one, the likeliest, where it is likelier than none: under noise
    one shows before its kind does.
    """
    there = names > 0
    unsharp = names[:, _UNSHARP]
    likeliest = F.one_hot(unsharp.argmax(1), len(_UNSHARP)).bool()
    sharp = 1 - unsharp.sigmoid().sum(1, keepdim=True)
    there[:, _UNSHARP] = likeliest & (unsharp.sigmoid() > sharp)
    return there


class ResidualBlock(nn.Module):
    """x + convolutions(norm(x)), (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(F.silu(self.conv_in(channel_norm(x))))


def crops(picture: Tensor, size: int) -> list[Tensor]:
    """Square crops spread over a picture (3, H, W), at most `MOST_CROPS`; a smaller one is extended by reflection.

    They cover it where they are enough, but for the last pixels: they begin where blocks of JPEG do, as in training.
    """
    for axis in (1, 2):
        while picture.shape[axis] < size:
            picture = torch.cat([picture, picture.flip(axis)], axis).narrow(axis, 0, min(size, 2 * picture.shape[axis]))
    rows, columns = (math.ceil(length / size) for length in picture.shape[1:])
    while rows * columns > MOST_CROPS:
        rows, columns = (rows - 1, columns) if rows >= columns else (rows, columns - 1)
    tops, lefts = (
        _spread(length - size, count) for length, count in zip(picture.shape[1:], (rows, columns), strict=True)
    )
    return [picture[:, top : top + size, left : left + size] for top in tops for left in lefts]


def _spread(last: int, count: int) -> list[int]:
    """`count` starts from 0 to `last`, evenly, at multiples of JPEG's blocks; a single one in the middle."""
    starts = [last // 2] if count == 1 else [last * number // (count - 1) for number in range(count)]
    return [start - start % _BLOCK for start in starts]


def _blocks(channels: int, count: int) -> Sequence[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]
