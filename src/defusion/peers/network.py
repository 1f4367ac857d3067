"""Published restoration networks at the size of ours, and our own without instruction, to compare with."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from spandrel.architectures.NAFNet import NAFNet
from spandrel.architectures.Uformer import Uformer
from torch import Tensor, nn
from torch.nn import functional as F

from defusion.diffusion.model import pad_to_multiple
from defusion.diffusion.process import Process
from defusion.types import Image
from defusion.unet.unet import UNet, UNetConfig
from defusion.weights import WeightsError, load_weights, save_weights

SCALE = Process().scale
"""Of residuals, in the network of ours and in the loss: both in the units of y_0, as in the diffusion."""

_LAST_STEP = 999
"""Of a diffusion in a thousand steps, as published."""

_NORM_EPSILON = 1e-6
"""NAFNet's."""


@dataclass(frozen=True)
class NAFNetConfig:
    """NAFNet (Chen et al., ECCV 2022), narrowed to the size of ours.

    Attributes:
        width: channels of the finest level; they double from level to level.
        encoder: blocks of each level on the way down.
        middle: blocks at the coarsest level.
        decoder: blocks of each level on the way up, the coarsest first; as many levels.
    """

    width: int = 16
    encoder: tuple[int, ...] = (2, 2, 4, 5)
    middle: int = 1
    decoder: tuple[int, ...] = (2, 2, 2, 2)

    def build(self) -> nn.Module:
        """The network with fresh weights, its layer normalisation computed by PyTorch's own."""
        network = NAFNet(
            width=self.width,
            middle_blk_num=self.middle,
            enc_blk_nums=list(self.encoder),
            dec_blk_nums=list(self.decoder),
        )
        for block in list(network.modules()):
            for name, own in block.named_children():
                if name in ("norm1", "norm2"):
                    setattr(block, name, ChannelNorm(own.weight, own.bias))
        return network

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return 2 ** len(self.encoder)


@dataclass(frozen=True)
class UformerConfig:
    """Uformer (Wang et al., CVPR 2022), narrowed to the size of ours, without stochastic depth.

    Attributes:
        channels: of the finest level; they double from level to level.
        depths: transformer blocks of the four levels down, the bottleneck and the four levels up. The second block of
            a level shifts its windows, where they are smaller than the crop's map.
        window: side of an attention window.
        crop: side of the crops that it trains on, in px: coarse maps of fewer pixels than a window are one window.
    """

    channels: int = 12
    depths: tuple[int, ...] = (2, 2, 2, 1, 1, 1, 2, 1, 2)
    window: int = 8
    crop: int = 64

    def __post_init__(self) -> None:
        if self.crop // 16 < 1 or self.crop % self.stride:
            raise ValueError(
                f"crop: expected a side whose map at every level is whole windows of {self.window}, or one smaller "
                f"window, got {self.crop}; give {16 * self.window}, a multiple of it, or half of it"
            )

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.meshgrid")  # of its older PyTorch
            network: nn.Module = Uformer(
                img_size=self.crop,
                embed_dim=self.channels,
                depths=list(self.depths),
                win_size=self.window,
                drop_path_rate=0.0,
                modulator=True,
            )
        return network

    @property
    def stride(self) -> int:
        """The side of its pictures, which are square, must be a multiple of this many pixels."""
        scales = (2**level for level in range(len(self.depths) // 2 + 1))
        return math.lcm(*(scale * min(self.window, self.crop // scale) for scale in scales))


@dataclass(frozen=True)
class RestormerConfig:
    """Restormer (Zamir et al., CVPR 2022), narrowed to the size of ours.

    It is in the package spandrel_extra_arches, which is to be installed by those whom its licence allows it.

    Attributes:
        channels: of the finest level, an even number; they double from level to level.
        blocks: transformer blocks of each level, the finest first.
        refinement: blocks at the end.
    """

    channels: int = 16
    blocks: tuple[int, ...] = (4, 6, 6, 8)
    refinement: int = 4

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        from spandrel_extra_arches.architectures.Restormer import Restormer  # no dependency of ours

        network: nn.Module = Restormer(
            dim=self.channels, num_blocks=list(self.blocks), num_refinement_blocks=self.refinement
        )
        return network

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return 8


@dataclass(frozen=True)
class DenoiserConfig:
    """A diffusion U-Net of DiffUIR's class (Zheng et al., CVPR 2024), as diffusers has it: lq beside the noisy picture.

    Attributes:
        channels: of the finest of its four levels, a multiple of 4; they double from level to level.
        blocks: residual blocks a level.
    """

    channels: int = 32
    blocks: int = 2

    def build(self) -> nn.Module:
        """The network with fresh weights, at the last time step."""
        return Denoiser(self)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return 8


PeerConfig: TypeAlias = NAFNetConfig | UformerConfig | RestormerConfig | DenoiserConfig | UNetConfig
"""Of a network; `UNetConfig` is that of ours, which gets no instruction here."""

_KINDS: Mapping[str, type[PeerConfig]] = {
    "nafnet": NAFNetConfig,
    "uformer": UformerConfig,
    "restormer": RestormerConfig,
    "denoiser": DenoiserConfig,
    "plain": UNetConfig,
}


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each position, by PyTorch's kernel.

    The same function as NAFNet's own, which is written out in several passes and calls what PyTorch deprecates.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        rows = x.permute(0, 2, 3, 1)
        return F.layer_norm(rows, (x.shape[1],), self.weight, self.bias, _NORM_EPSILON).permute(0, 3, 1, 2)


class Plain(nn.Module):
    """Our U-Net at t = 1 without instruction: what is left of the method without it, the floor."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        if config.pool or config.gate or config.adapter_levels:
            raise ValueError(
                "network: a plain U-Net has no instruction; expected pool: false, gate: false, adapter_levels: [], "
                f"got {config.pool}, {config.gate}, {list(config.adapter_levels)}"
            )
        self.unet = UNet(config)

    def forward(self, lq: Image) -> Image:
        """The restored picture, (B, 3, H, W)."""
        nothing, last = torch.zeros_like(lq), torch.ones(len(lq), device=lq.device)
        return lq - self.unet(nothing, last, 2 * lq - 1).float() / SCALE


class Denoiser(nn.Module):
    """One step of a diffusion U-Net from the end: of nothing and lq it predicts the degradation."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        from diffusers import UNet2DModel  # slow to import

        self.unet: Any = UNet2DModel(
            in_channels=6,
            out_channels=3,
            block_out_channels=tuple(config.channels * 2**level for level in range(4)),
            layers_per_block=config.blocks,
            down_block_types=("DownBlock2D",) * 3 + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * 3,
            norm_num_groups=4,
        )

    def forward(self, lq: Image) -> Image:
        """The restored picture, (B, 3, H, W)."""
        removed: Image = self.unet(torch.cat([torch.zeros_like(lq), lq], dim=1), _LAST_STEP).sample
        return lq - removed


class Peer(nn.Module):
    """A restoration network that sees the degraded picture alone."""

    def __init__(self, config: PeerConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Plain(config) if isinstance(config, UNetConfig) else config.build()

    def forward(self, lq: Image) -> Image:
        """The restored picture, float32 and not clipped: (B, 3, H, W), sizes in multiples of `config.stride`."""
        restored: Tensor = self.network(lq)
        return restored.float()

    @torch.no_grad()
    def restore(self, lq: Image) -> Image:
        """The restored picture, (B, 3, H, W) in [0, 1], of any size: padded by reflection and cropped back."""
        height, width = lq.shape[-2:]
        multiple = self.config.stride
        if isinstance(self.config, UformerConfig):
            multiple = max(height, width) + -max(height, width) % multiple
        return self(pad_to_multiple(lq, multiple)).clamp(0, 1)[..., :height, :width]

    def hidden_weights(self) -> list[nn.Parameter]:
        """Matrices and kernels between the first and the last layers, which an optimiser may orthogonalise."""
        if isinstance(self.network, Plain):
            return self.network.unet.hidden_weights()
        ends = ("intro", "ending", "input_proj", "output_proj", "patch_embed", "output", "conv_in", "conv_out")
        named = self.network.named_modules()
        layers = [layer for name, layer in named if name.removeprefix("unet.").split(".")[0] not in ends]
        mixing = [own for own in layers if isinstance(own, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        # The kernel of a depthwise convolution is no matrix: it mixes no channels.
        full = [own for own in mixing if getattr(own, "groups", 1) == 1]
        return [weight for own in full for weight in own.parameters() if weight.ndim > 1]

    def save(self, folder: Path | str) -> Path:
        """Writes the network as safetensors and JSON; read by `load`."""
        kind = next(kind for kind, own in _KINDS.items() if isinstance(self.config, own))
        save_weights(folder, self.state_dict(), {"kind": kind, "network": asdict(self.config)}, name="peer")
        return Path(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "Peer":
        """Reads what `save` wrote.

        Raises:
            WeightsError: when a file is missing, damaged, or made for something else.
        """
        state, about = load_weights(folder, name="peer")
        try:
            values: dict[str, Any] = {
                key: tuple(own) if isinstance(own, list) else own for key, own in about["network"].items()
            }
            peer = cls(_KINDS[about["kind"]](**values))
            peer.load_state_dict(state)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{folder}: not weights of this release's Peer: {error}") from error
        return peer.eval()
