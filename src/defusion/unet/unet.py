"""The U-Net that predicts the degradation: ADM's layout, with the bridge and the adapter in every block."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.types import Image, Tokens
from defusion.unet.adapter import PooledInstruction, VisualInstructionAdapter
from defusion.unet.blocks import Attention, Block, Downsample, Upsample, time_features, zeroed
from defusion.unet.bridge import ImageRestorationBridge


@dataclass(frozen=True)
class UNetConfig:
    """The U-Net's size, and how the picture and the instruction enter it.

    Attributes:
        channels: channels of each level, finest first.
        blocks: residual blocks a level on the way down, and again on the way up.
        patch: side of the pixel-unshuffle stem; 1 works at full resolution.
        token_channels: channels of one token of the instruction.
        adapter_levels: levels with a VIA after each block.
        pool: also add the pooled instruction to the time embedding.
        gate: also multiply the last features by a gate made of the pooled instruction, so that null
            tokens give exactly zero: where y_0 is predicted, nothing shown is nothing changed.
        attention_levels: levels with self-attention (ADM); it is global, so leave it out for
            networks that train on small crops and restore large pictures.
        text_channels: channels of the optional text condition, beside which VIA works.
        bridge: how lq's features enter: AdaLN-Zero in every block (the paper's IRB), added to the
            decoder's skips alone (ControlNet-like, ablation), or not at all.
        concatenate: also give lq to the stem, a direct path for its finest detail.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    blocks: int = 2
    patch: int = 2
    token_channels: int = 64
    adapter_levels: tuple[int, ...] = (1, 2)
    pool: bool = True
    gate: bool = True
    attention_levels: tuple[int, ...] = ()
    text_channels: int | None = None
    bridge: Literal["adaln", "decoder", "none"] = "adaln"
    concatenate: bool = True

    def __post_init__(self) -> None:
        for name in ("adapter_levels", "attention_levels"):
            levels = getattr(self, name)
            if any(level not in range(len(self.channels)) for level in levels):
                raise ValueError(f"{name}: expected levels 0 to {len(self.channels) - 1}, got {levels}")
        if self.gate and not self.pool:
            raise ValueError("gate=True needs pool=True: the gate is made of the pooled instruction")
        if self.bridge == "none" and not self.concatenate:
            raise ValueError("bridge='none' needs concatenate=True: else the network never sees lq")

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return self.patch * 2 ** (len(self.channels) - 1)


class Level(nn.Module):
    """Residual blocks at one resolution, each followed by its attention and its adapter."""

    def __init__(self, config: UNetConfig, level: int, time_channels: int) -> None:
        super().__init__()
        width = config.channels[level]
        self.blocks = nn.ModuleList(Block(width, time_channels, config.bridge == "adaln") for _ in range(config.blocks))
        self.attentions = nn.ModuleList(
            Attention(width) for _ in range(config.blocks) if level in config.attention_levels
        )
        self.adapters = nn.ModuleList(
            VisualInstructionAdapter(width, config.token_channels, config.text_channels)
            for _ in range(config.blocks)
            if level in config.adapter_levels
        )

    def forward(
        self, x: Tensor, time: Tensor, feature: Tensor | None, tokens: Tokens | None, text: Tensor | None
    ) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        for index, block in enumerate(self.blocks):
            x = block(x, time, feature)
            if self.attentions:
                x = x + self.attentions[index](x)
            if self.adapters:
                x = self.adapters[index](x, tokens, text)
        return x


class UNet(nn.Module):
    """f(y_t, t, lq, instruction): ADM-style U-Net (Dhariwal & Nichol, 2021) with IRB and VIA."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        levels = range(len(widths))
        self.time_channels = 4 * widths[0]
        self.embed_time = nn.Sequential(
            nn.Linear(widths[0], self.time_channels),
            nn.SiLU(),
            nn.Linear(self.time_channels, self.time_channels),
        )
        self.pool = PooledInstruction(config.token_channels, self.time_channels) if config.pool else None
        self.gate = nn.Linear(self.time_channels, widths[0], bias=False) if config.gate else None
        pictures = 2 if config.concatenate else 1
        self.stem = nn.Conv2d(3 * pictures * config.patch**2, widths[0], 3, padding=1)
        self.bridge = ImageRestorationBridge(widths, config.patch) if config.bridge != "none" else None
        self.encoder = nn.ModuleList(Level(config, level, self.time_channels) for level in levels)
        self.down = nn.ModuleList(Downsample(widths[level], widths[level + 1]) for level in levels[:-1])
        self.decoder = nn.ModuleList(Level(config, level, self.time_channels) for level in levels)
        self.up = nn.ModuleList(Upsample(widths[level + 1], widths[level]) for level in levels[:-1])
        self.skips = nn.ModuleList(
            zeroed(nn.Conv2d(width, width, 1)) if config.bridge == "decoder" else nn.Identity() for width in widths
        )
        self.head = zeroed(nn.Conv2d(widths[0], 3 * config.patch**2, 3, padding=1, bias=not config.gate))

    def hidden_weights(self) -> list[nn.Parameter]:
        """Matrices and kernels between the first and the last layers, which an optimiser may orthogonalise."""
        hidden = (self.encoder, self.decoder, self.down, self.up, self.skips, self.bridge)
        stem = () if self.bridge is None else tuple(self.bridge.stem.parameters())
        found = [own for part in hidden if part is not None for own in part.parameters() if own.ndim > 1]
        return [own for own in found if all(own is not first for first in stem)]

    def parts(self) -> list[nn.Module]:
        """All that has weights, in parts that are called one by one."""
        return list(self.children())

    def features(self, lq: Image) -> list[Tensor]:
        """The bridge's maps of lq, one a level: they serve every step of a sampler."""
        return self.bridge(lq) if self.bridge is not None else []

    def forward(
        self,
        y: Tensor,
        t: Tensor,
        lq: Image,
        tokens: Tokens | None = None,
        text: Tensor | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Predicts eps, v or y0, as the process that trains it says.

        Args:
            y: noised degradation y_t, (B, 3, H, W); H and W multiples of `config.stride`.
            t: diffusion time in [0, 1], (B,).
            lq: degraded picture, (B, 3, H, W), centred to [-1, 1].
            tokens: instruction, (B, N, token_channels); None is the same as all zero.
            text: optional text condition, (B, M, text_channels).
            features: from `features(lq)`, computed here when not given.

        Returns:
            (B, 3, H, W).
        """
        if y.shape[-2] % self.config.stride or y.shape[-1] % self.config.stride:
            raise ValueError(
                f"y: expected height and width in multiples of {self.config.stride}, got {tuple(y.shape[-2:])}: "
                "pad the pictures first (`pad_to_multiple`)"
            )
        maps = self.features(lq) if features is None else features
        modulating = maps if self.config.bridge == "adaln" else [None] * len(self.encoder)
        time = self.embed_time(time_features(t, self.config.channels[0]).to(y.dtype))
        pooled = self.pool(tokens) if self.pool is not None and tokens is not None else None
        if pooled is not None:
            time = time + pooled
        time = F.silu(time)
        x = self.stem(F.pixel_unshuffle(torch.cat([y, lq], 1) if self.config.concatenate else y, self.config.patch))
        skips = []
        for level, encoder in enumerate(self.encoder):
            x = encoder(x, time, modulating[level], tokens, text)
            skips.append(x)
            if level < len(self.down):
                x = self.down[level](x)
        for level in reversed(range(len(self.decoder))):
            if level < len(self.up):
                x = self.up[level](x) + skips[level]
            if self.config.bridge == "decoder":
                x = x + self.skips[level](maps[level])
            x = self.decoder[level](x, time, modulating[level], tokens, text)
        if self.gate is not None:
            x = x * self.gate(pooled)[:, :, None, None] if pooled is not None else torch.zeros_like(x)
        return F.pixel_shuffle(self.head(x), self.config.patch)
