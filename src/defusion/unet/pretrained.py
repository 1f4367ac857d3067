"""A text-to-image U-Net of diffusers, with the bridge and the adapter beside what it has (paper, section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.types import Image, Tokens
from defusion.unet.blocks import channel_norm, zeroed
from defusion.unet.bridge import ImageRestorationBridge
from defusion.unet.sources import from_diffusers, load_architecture

Trained = Literal["adapters", "norms", "all"]
"""What learns: the bridge and the adapter; these and the norms of the U-Net; or everything."""

_TIMESTEPS = 1000
"""Of the noise schedules that such networks are trained with; t in [0, 1] becomes the (t * 999)-th."""
_BRIDGE_SHARE = 4
"""The bridge has so many times fewer channels than the U-Net's level."""


@dataclass(frozen=True)
class PretrainedUNetConfig:
    """A text-to-image U-Net, and how picture and instruction enter it.

    Attributes:
        source: folder or hub id of a diffusers model, in whose `subfolder` the U-Net lies; "" where `architecture` says
            all and weights are loaded from elsewhere.
        subfolder: of the U-Net.
        architecture: its diffusers configuration; read from the source when not given, kept with our weights.
        token_channels: channels of one token of the instruction.
        patch: side of the squares of lq that one of the U-Net's finest features stands for: 8 in the latent space of
            Stable Diffusion, 1 in pixel space.
        scale: of the adapter's attention to the instruction; 0 leaves the attention to text as it was.
        trained: what learns.
    """

    source: str = ""
    subfolder: str = "unet"
    architecture: Mapping[str, Any] = field(default_factory=dict)
    token_channels: int = 64
    patch: int = 8
    scale: float = 1.0
    trained: Trained = "adapters"

    gate = False
    """Null tokens add nothing to attention; the text-to-image network has no gate that they could close."""

    def __post_init__(self) -> None:
        if not self.architecture:
            own = load_architecture("UNet2DConditionModel", self.source, self.subfolder, "unet")
            object.__setattr__(self, "architecture", own)

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each level, finest first."""
        return tuple(self.architecture["block_out_channels"])

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """Levels with self-attention."""
        kinds = self.architecture["down_block_types"]
        return tuple(level for level, kind in enumerate(kinds) if "Attn" in kind)

    @property
    def stride(self) -> int:
        """Height and width of lq must be multiples of this many pixels."""
        return self.patch * 2 ** (len(self.channels) - 1)


class PretrainedUNet(nn.Module):
    """f(y_t, t, lq, instruction) by a text-to-image U-Net.

    - VIA: beside every cross-attention to text one to the instruction's tokens, with keys and values of its own that
      start as those of the text (IP-Adapter, Ye et al., 2023).
    - IRB: after every residual block features of lq by AdaLN-Zero, which start as nothing.

    With scale 0, and the bridge as it starts, the output is that of the original network, bit for bit.
    """

    def __init__(self, config: PretrainedUNetConfig, network: Any) -> None:
        """Places bridge and adapter in a UNet2DConditionModel of diffusers."""
        super().__init__()
        self.config = config
        self.network = network
        bridged = [max(16, width // _BRIDGE_SHARE) for width in config.channels]
        self.bridge = ImageRestorationBridge(bridged, config.patch)
        self._maps: list[Tensor] = []
        self._tokens: list[Tensor] = []
        self._place_bridge(bridged)
        self._place_adapter()
        self._choose(config.trained)

    @classmethod
    def build(cls, config: PretrainedUNetConfig) -> "PretrainedUNet":
        """With the weights of its source, or fresh ones where it has none.

        Raises:
            PretrainedError: when the source cannot be read.
        """
        return cls(config, from_diffusers("UNet2DConditionModel", config.source, config.subfolder, config.architecture))

    @property
    def text_channels(self) -> int:
        """Of an embedding of a prompt, as the text encoder of the source gives it."""
        own = self.network.config
        found = own.encoder_hid_dim or own.cross_attention_dim
        return int(found if isinstance(found, int) else found[0])

    def hidden_weights(self) -> list[nn.Parameter]:
        """None: what is pretrained is best trained on by the optimiser it was trained with (AdamW)."""
        return []

    def parts(self) -> list[nn.Module]:
        """All that has weights, in parts that are called one by one."""
        return [self.bridge, *self.network.children()]

    def features(self, lq: Image) -> list[Tensor]:
        """The bridge's maps of lq, one a level: they serve every step of a sampler."""
        return self.bridge(lq)

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
            y: noised degradation y_t, (B, C, h, w), as the network has channels and levels.
            t: diffusion time in [0, 1], (B,).
            lq: degraded picture, (B, 3, H, W), centred to [-1, 1]; H = patch * h.
            tokens: instruction, (B, N, token_channels); None is the same as all zero.
            text: embedding of a prompt, (B, M, cross-attention channels); zeros when not given.
            features: from `features(lq)`, computed here when not given.

        Returns:
            (B, C, h, w).
        """
        self._maps[:] = self.features(lq) if features is None else features
        self._tokens[:] = [] if tokens is None else [tokens]
        if text is None:
            text = y.new_zeros(len(y), 1, self.text_channels)
        try:
            return self.network(y, (t * (_TIMESTEPS - 1)).round(), text, **self._extra(y), return_dict=False)[0]
        finally:
            self._maps.clear()
            self._tokens.clear()

    def _extra(self, y: Tensor) -> dict[str, Any]:
        """What layouts such as SDXL's ask for beside the prompt: a pooled one (zeros), and sizes."""
        own = self.network.config
        if own.addition_embed_type != "text_time":
            return {}
        height, width = (side * self.config.patch for side in y.shape[-2:])
        sizes = y.new_tensor([height, width, 0, 0, height, width]).expand(len(y), -1)
        pooled = own.projection_class_embeddings_input_dim - sizes.shape[1] * own.addition_time_embed_dim
        return {"added_cond_kwargs": {"text_embeds": y.new_zeros(len(y), pooled), "time_ids": sizes}}

    def _place_bridge(self, widths: Sequence[int]) -> None:
        """Every residual block is followed by the bridge's features of its level."""
        network, last = self.network, len(self.config.channels) - 1
        parts = [(block, level) for level, block in enumerate(network.down_blocks)]
        parts += [(network.mid_block, last)] if network.mid_block is not None else []
        parts += [(block, last - level) for level, block in enumerate(network.up_blocks)]
        for block, level in parts:
            for number, resnet in enumerate(block.resnets):
                block.resnets[number] = Bridged(resnet, widths[level], self._maps, level)

    def _place_adapter(self) -> None:
        """Every attention to text has one to the instruction beside it."""
        processors = dict(self.network.attn_processors)
        for name in processors:
            attention = self.network.get_submodule(name.removesuffix(".processor"))
            if attention.is_cross_attention:
                processors[name] = VisualAttention(
                    attention, processors[name], self.config.token_channels, self.config.scale, self._tokens
                )
        self.network.set_attn_processor(processors)

    def _choose(self, trained: Trained) -> None:
        """Freezes what is not to learn."""
        if trained == "all":
            return
        self.network.requires_grad_(False)
        learning = (VisualAttention, nn.GroupNorm, nn.LayerNorm) if trained == "norms" else (VisualAttention,)
        for own in self.network.modules():
            if isinstance(own, Bridged):
                own.modulation.requires_grad_(True)
            elif isinstance(own, learning):
                own.requires_grad_(True)


class Bridged(nn.Module):
    """x + gate * (norm(x) * (1 + scale) + shift) behind a residual block: AdaLN-Zero of the bridge's features.

    Args:
        block: of the U-Net.
        channels: of the bridge's features.
        maps: where these lie while the U-Net runs, one a level.
        level: of the block.
    """

    def __init__(self, block: Any, channels: int, maps: list[Tensor], level: int) -> None:
        super().__init__()
        self.block = block
        self.modulation = zeroed(nn.Conv2d(channels, 3 * block.out_channels, 1, bias=False))
        self._maps, self._level = maps, level

    def forward(self, *arguments: Any, **options: Any) -> Tensor:
        """As the block: (B, C, h, w)."""
        x: Tensor = self.block(*arguments, **options)
        feature = self._maps[self._level]
        if feature.shape[-2:] != x.shape[-2:]:  # a block that resamples
            feature = F.interpolate(feature, x.shape[-2:], mode="nearest")
        scale, shift, gate = self.modulation(feature).chunk(3, dim=1)
        return torch.addcmul(x, gate, torch.addcmul(shift, channel_norm(x), 1 + scale))


class VisualAttention(nn.Module):
    """Attention to the instruction beside an attention to text: a processor of diffusers.

    Args:
        attention: to text, whose queries serve both.
        text: its own processor.
        token_channels: of the instruction.
        scale: of what is added.
        tokens: where the instruction lies while the U-Net runs; empty for none.
    """

    def __init__(self, attention: Any, text: Any, token_channels: int, scale: float, tokens: list[Tensor]) -> None:
        super().__init__()
        added = attention.added_kv_proj_dim is not None  # DeepFloyd's layout has projections of the text's own
        originals = (attention.add_k_proj, attention.add_v_proj) if added else (attention.to_k, attention.to_v)
        self.project = nn.Linear(token_channels, originals[0].in_features, bias=False)
        self.key, self.value = (nn.Linear(own.in_features, own.out_features, bias=False) for own in originals)
        with torch.no_grad():
            for own, original in zip((self.key, self.value), originals, strict=True):
                own.weight.copy_(original.weight)
        self.scale = scale
        self._text, self._tokens = text, tokens

    def forward(
        self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **more: Any
    ) -> Tensor:
        """As the processor: (B, L, C), or maps (B, C, h, w)."""
        hidden = hidden_states
        result: Tensor = self._text(attention, hidden, encoder_hidden_states=encoder_hidden_states, **more)
        if not self._tokens or self.scale == 0:
            return result
        rows = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden
        if attention.group_norm is not None:
            rows = attention.group_norm(rows.transpose(1, 2)).transpose(1, 2)
        tokens = self.project(self._tokens[0].to(rows.dtype))
        query, key, value = (
            own.unflatten(-1, (attention.heads, -1)).transpose(1, 2)
            for own in (attention.to_q(rows), self.key(tokens), self.value(tokens))
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        added = self.scale * F.linear(mixed, attention.to_out[0].weight) / attention.rescale_output_factor
        return result + (added.transpose(1, 2).view_as(result) if hidden.ndim == 4 else added)
