"""The latent space of a pretrained autoencoder, in which degradations may diffuse: y_0 = E(lq) - E(T_v(lq))."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from defusion.types import Image
from defusion.unet.sources import from_diffusers, load_architecture


@dataclass(frozen=True)
class AutoencoderConfig:
    """An autoencoder of diffusers.

    Attributes:
        source: folder or hub id of a diffusers model; "" where `architecture` says all and weights are loaded from
            elsewhere.
        subfolder: of the autoencoder.
        architecture: its diffusers configuration; read from the source when not given, kept with our weights.
    """

    source: str = ""
    subfolder: str = "vae"
    architecture: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.architecture:
            own = load_architecture("AutoencoderKL", self.source, self.subfolder, "autoencoder")
            object.__setattr__(self, "architecture", own)

    @property
    def patch(self) -> int:
        """Side of the squares that one latent stands for, in pixels."""
        return 2 ** (len(self.architecture["block_out_channels"]) - 1)

    @property
    def channels(self) -> int:
        """Of a latent."""
        return int(self.architecture["latent_channels"])


class Autoencoder(nn.Module):
    """Pictures to latents of about unit deviation, and back. It stays frozen."""

    def __init__(self, config: AutoencoderConfig, network: Any) -> None:
        super().__init__()
        self.config = config
        self.network = network.requires_grad_(False).eval()

    @classmethod
    def build(cls, config: AutoencoderConfig) -> "Autoencoder":
        """With the weights of its source, or fresh ones where it has none.

        Raises:
            PretrainedError: when the source cannot be read.
        """
        return cls(config, from_diffusers("AutoencoderKL", config.source, config.subfolder, config.architecture))

    def train(self, mode: bool = True) -> "Autoencoder":
        """It stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, picture: Image) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides in multiples of the patch -> (B, C, h, w), the mode of the posterior."""
        own = self.network.config
        latent: Tensor = self.network.encode(2 * picture - 1).latent_dist.mode()
        return (latent.float() - (own.shift_factor or 0.0)) * own.scaling_factor

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Image:
        """(B, C, h, w) -> (B, 3, H, W), around [0, 1]."""
        own = self.network.config
        picture: Tensor = self.network.decode(latent / own.scaling_factor + (own.shift_factor or 0.0)).sample
        return (picture.float() + 1) / 2
