"""The whole method as one network: tokenizer, U-Net and process; what is shipped and loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.degradations.library import NAMES
from defusion.diffusion.latent import Autoencoder, AutoencoderConfig
from defusion.diffusion.phrases import embeddings
from defusion.diffusion.process import Process
from defusion.diffusion.sampler import Sampler, trajectory
from defusion.random import Normals
from defusion.tokenizer.network import Tokenizer
from defusion.types import Image, Tokens
from defusion.unet.pretrained import PretrainedUNet, PretrainedUNetConfig
from defusion.unet.sources import embed_prompt
from defusion.unet.unet import UNet, UNetConfig
from defusion.weights import WeightsError, load_weights, save_weights


@dataclass(frozen=True)
class DefusionConfig:
    """Everything that fixes the function but its weights.

    Attributes:
        unet: size and conditioning of the U-Net, or a pretrained text-to-image one.
        process: schedule and parametrisation.
        space: what diffuses: the degradation lq - T_v(lq) (Eq. 9), or the restored picture (ablation).
        instruction: what tells the network what to remove: the visual instruction, a learnt embedding of each
            degradation's name, a frozen embedding of a request in words (`defusion.diffusion.phrases`), or
            nothing (ablations).
        quantised: condition on codes, rather than on the encoder's features before quantisation (ablation).
        subtract_null: condition on E(instruction) - E(ground), rather than on E(instruction) (ablation).
        autoencoder: in whose latent space degradations diffuse; null for pixels.
        prompt: the embedding of this text is auxiliary guidance of a pretrained U-Net, by its source's text encoder; ""
            for zeros.
    """

    unet: UNetConfig | PretrainedUNetConfig = field(default_factory=UNetConfig)
    process: Process = field(default_factory=Process)
    space: Literal["degradation", "image"] = "degradation"
    instruction: Literal["visual", "label", "text", "none"] = "visual"
    subtract_null: bool = True
    quantised: bool = True
    autoencoder: AutoencoderConfig | None = None
    prompt: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.unet, UNetConfig) and (self.autoencoder is not None or self.prompt):
            raise ValueError(
                "autoencoder, prompt: expected them with a pretrained U-Net alone, got one of our own, which works on "
                "pixels; give unet.source, or leave them out"
            )
        if isinstance(self.unet, PretrainedUNetConfig):
            self._check_pretrained(self.unet)
        zero_is_nothing = self.space == "degradation" and self.process.prediction == "y0"
        null_is_zero = self.instruction in ("label", "text") or (self.instruction == "visual" and self.subtract_null)
        if self.unet.gate and not (zero_is_nothing and null_is_zero):
            raise ValueError(
                "unet.gate: true needs null tokens of zero (an instruction, subtract_null: true) and an output of zero "
                "that means no change (space: degradation, process.prediction: y0); got "
                f"instruction: {self.instruction}, subtract_null: {self.subtract_null}, space: {self.space}, "
                f"process.prediction: {self.process.prediction}; set unet.gate: false for this ablation"
            )

    def _check_pretrained(self, unet: PretrainedUNetConfig) -> None:
        patch, channels = (1, 3) if self.autoencoder is None else (self.autoencoder.patch, self.autoencoder.channels)
        if unet.patch != patch:
            raise ValueError(f"unet.patch: expected {patch}, what a feature of this space stands for, got {unet.patch}")
        for name in ("in_channels", "out_channels"):
            if unet.architecture[name] != channels:
                raise ValueError(
                    f"unet.source: expected a U-Net with {name} {channels}, got {unet.architecture[name]}: pixels need "
                    "one of pixel space, others their autoencoder"
                )
        if self.space == "image" and self.autoencoder is not None:
            raise ValueError('space: expected "degradation" in a latent space, got "image"')

    @property
    def stride(self) -> int:
        """Height and width of pictures are padded to multiples of this many pixels."""
        return self.unet.stride


class Defusion(nn.Module):
    """Degradation diffusion guided by visual instructions.

    The tokenizer is frozen; its fingerprint is part of the saved configuration.
    """

    def __init__(self, config: DefusionConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        if tokenizer.config.token_channels != config.unet.token_channels:
            raise ValueError(
                f"unet.token_channels: expected the tokenizer's {tokenizer.config.token_channels}, "
                f"got {config.unet.token_channels}: give that, or another tokenizer (model.tokenizer)"
            )
        self.config = config
        self.tokenizer = tokenizer.requires_grad_(False).eval()
        self.unet = UNet(config.unet) if isinstance(config.unet, UNetConfig) else PretrainedUNet.build(config.unet)
        self.autoencoder = None if config.autoencoder is None else Autoencoder.build(config.autoencoder)
        self.labels = _labels(config)
        self.prompt: Tensor | None
        self.register_buffer("prompt", _prompt(config))

    def train(self, mode: bool = True) -> "Defusion":
        """The tokenizer stays in evaluation mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def tokens(self, ground: Image, instruction: Image, shown: Sequence[str]) -> Tokens | None:
        """The condition: (B, N, token_channels), or None without instruction.

        Args:
            ground: clean chart, (B, 3, Hv, Wv).
            instruction: the chart degraded, the same shape.
            shown: the degradations it shows by name, joined by "+"; used by labels and text alone.
        """
        if self.config.instruction == "none":
            return None
        if self.labels is not None:
            rows = torch.tensor([[name in names.split("+") for name in NAMES] for names in shown])
            tokens = self.labels()
            return rows.to(tokens)[..., None] * tokens
        if self.config.subtract_null:
            return self.tokenizer.residual(instruction, ground, self.config.quantised)
        return self.tokenizer.encode(instruction, self.config.quantised)

    def described(self, codes: Tensor, ground: Image) -> Tokens:
        """The condition that codes of an instruction stand for, (B, N, token_channels), as `tokens` of a picture.

        Args:
            codes: indices into the tokenizer's codebook, (B, N).
            ground: the clean chart, (B, 3, Hv, Wv).
        """
        shown = self.tokenizer.quantizer.lookup(codes)
        return shown - self.tokenizer.encode(ground) if self.config.subtract_null else shown

    def y0(self, lq: Image, target: Image) -> Tensor:
        """The variable that diffuses: lq - T_v(lq) (Eq. 9), or the picture centred, times the process's scale.

        In a latent space it is E(lq) - E(T_v(lq)).
        """
        if self.autoencoder is not None:
            clean = self.autoencoder.encode(lq) - self.autoencoder.encode(target)
        else:
            clean = lq - target if self.config.space == "degradation" else target - 0.5
        return clean * self.config.process.scale

    def removed(self, lq: Image, y0: Tensor) -> Tensor:
        """The degradation lq - T_v(lq) that y_0 stands for; the inverse of `y0`, as far as an autoencoder has one."""
        clean = y0 / self.config.process.scale
        if self.autoencoder is not None:
            return lq - self.autoencoder.decode(self.autoencoder.encode(lq) - clean)
        return clean if self.config.space == "degradation" else lq - 0.5 - clean

    def forward(
        self, yt: Tensor, t: Tensor, lq: Image, tokens: Tokens | None, features: list[Tensor] | None = None
    ) -> Tensor:
        """The raw network output at y_t (B, 3, H, W) and t (B,), float32."""
        seen = self.config.process.network_input(yt, t)
        text = None if self.prompt is None else self.prompt.expand(len(lq), -1, -1)
        return self.unet(seen, t, 2 * lq - 1, tokens, text, features).float()

    @torch.no_grad()
    def degradations(
        self, lq: Image, tokens: Tokens | None, draw: Normals, steps: int = 1, sampler: Sampler = "ddim"
    ) -> Iterator[Tensor]:
        """The degradation lq - T_v(lq) as each sampling step estimates it, (B, 3, H, W); the last one is the result.

        Args:
            lq: (B, 3, H, W) in [0, 1], any height and width: padded by reflection to the stride and cropped back.
            tokens: from `tokens`.
            draw: of y_1 (and of the SDE), on the device of lq.
            steps: network evaluations.
            sampler: "ddim" or "sde".
        """
        height, width = lq.shape[-2:]
        padded = pad_to_multiple(lq, self.config.stride)
        for y0 in self._estimates(padded, tokens, draw, steps, sampler):
            yield self.removed(padded, y0)[..., :height, :width]

    @torch.no_grad()
    def degradation(
        self, lq: Image, tokens: Tokens | None, draw: Normals, steps: int = 1, sampler: Sampler = "ddim"
    ) -> Tensor:
        """The last of `degradations`."""
        height, width = lq.shape[-2:]
        padded = pad_to_multiple(lq, self.config.stride)
        *_, y0 = self._estimates(padded, tokens, draw, steps, sampler)
        return self.removed(padded, y0)[..., :height, :width]

    def _estimates(
        self, lq: Image, tokens: Tokens | None, draw: Normals, steps: int, sampler: Sampler
    ) -> Iterator[Tensor]:
        """y_0 as each step estimates it, of pictures whose sides are multiples of the stride."""
        features = self.unet.features(2 * lq - 1)

        def denoise(yt: Tensor, t: Tensor) -> Tensor:
            return self.config.process.to_y0(self(yt, t, lq, tokens, features), yt, t)

        shape: tuple[int, ...] = tuple(lq.shape)
        if self.config.autoencoder is not None:
            own = self.config.autoencoder
            shape = (len(lq), own.channels, *(side // own.patch for side in lq.shape[-2:]))
        return trajectory(denoise, shape, draw, self.config.process.path, steps, sampler)

    def restorations(
        self, lq: Image, tokens: Tokens | None, draw: Normals, steps: int = 1, sampler: Sampler = "ddim"
    ) -> Iterator[Image]:
        """The restored picture after each sampling step, (B, 3, H, W) in [0, 1]; see `degradations`."""
        for degradation in self.degradations(lq, tokens, draw, steps, sampler):
            yield (lq - degradation).clamp(0, 1)

    def restore(
        self, lq: Image, tokens: Tokens | None, draw: Normals, steps: int = 1, sampler: Sampler = "ddim"
    ) -> Image:
        """The last of `restorations`."""
        return (lq - self.degradation(lq, tokens, draw, steps, sampler)).clamp(0, 1)

    def save(self, folder: Path | str) -> Path:
        """Writes the network and its tokenizer as safetensors and JSON; loaded by `load`."""
        folder = Path(folder)
        self.tokenizer.save(folder / "tokenizer")
        state = {key: value for key, value in self.state_dict().items() if not key.startswith("tokenizer.")}
        config = asdict(self.config) | {"tokenizer_fingerprint": self.tokenizer.fingerprint()}
        save_weights(folder, state, config, name="defusion")
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> "Defusion":
        """Reads what `save` wrote.

        Raises:
            WeightsError: when a file is missing or damaged, or the tokenizer is not the one trained with.
        """
        folder = Path(folder)
        state, config = load_weights(folder, name="defusion")
        tokenizer = Tokenizer.load(folder / "tokenizer")
        check_fingerprint(tokenizer, str(config.pop("tokenizer_fingerprint", "none")), str(folder))
        try:
            model = cls(_read_config(config), tokenizer)
            if "prompt" in state:
                model.prompt = torch.empty_like(state["prompt"], dtype=torch.float32)
            model.load_state_dict(model.tokenizer_state() | state)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{folder}: not weights of this release's Defusion: {error}") from error
        return model.eval()

    def start_from(self, folder: Path | str) -> None:
        """Takes over the weights of the same network with the same tokenizer, or of one with fewer blocks a level.

        The blocks that are added are identities at first (AdaLN-Zero), so that the function stays the same.

        Raises:
            WeightsError: when they cannot be read, or belong to another network or tokenizer.
        """
        other = Defusion.load(folder)
        if not isinstance(self.config.unet, UNetConfig) or not isinstance(other.config.unet, UNetConfig):
            raise WeightsError(f"{folder}: start expects U-Nets of our own; a pretrained one starts from its source")
        blocks = self.config.unet.blocks
        grown = replace(other.config, unet=replace(other.config.unet, blocks=blocks))
        if grown != self.config or other.config.unet.blocks > blocks:
            raise WeightsError(f"{folder}: expected weights of {self.config}, got those of {other.config}")
        check_fingerprint(self.tokenizer, other.tokenizer.fingerprint(), str(folder))
        self.load_state_dict(self.state_dict() | other.state_dict())

    def tokenizer_state(self) -> dict[str, Tensor]:
        """The tokenizer's part of the state dictionary."""
        return {key: value for key, value in self.state_dict().items() if key.startswith("tokenizer.")}


class Labels(nn.Module):
    """One token a degradation, learnt: freely, or as a linear map of the frozen embedding of a phrase."""

    def __init__(self, channels: int, phrases: Tensor | None = None) -> None:
        super().__init__()
        self.phrases: Tensor | None
        self.register_buffer("phrases", phrases)
        rows = len(NAMES) if phrases is None else phrases.shape[1]
        self.weight = nn.Parameter(torch.randn(rows, channels))

    def forward(self) -> Tensor:
        """(11, channels), in the order of NAMES."""
        return self.weight if self.phrases is None else self.phrases @ self.weight


def _labels(config: DefusionConfig) -> Labels | None:
    if config.instruction not in ("label", "text"):
        return None
    return Labels(config.unet.token_channels, embeddings() if config.instruction == "text" else None)


def _read_config(saved: dict[str, Any]) -> DefusionConfig:
    """The configuration that `Defusion.save` wrote; pretrained networks need their sources no more."""
    config = dict(saved)
    unet, autoencoder = config.pop("unet"), config.pop("autoencoder", None)
    process = Process(**config.pop("process"))
    own: UNetConfig | PretrainedUNetConfig
    if "architecture" in unet:
        own = PretrainedUNetConfig(**unet | {"source": ""})
    else:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in unet.items()
        }
        own = UNetConfig(**values)
    latent = None if autoencoder is None else AutoencoderConfig(**autoencoder | {"source": ""})
    return DefusionConfig(unet=own, process=process, autoencoder=latent, **config)


def _prompt(config: DefusionConfig) -> Tensor | None:
    """The embedding of the prompt, (1, M, C), where there is one and it is not part of weights."""
    if not config.prompt or not isinstance(config.unet, PretrainedUNetConfig) or not config.unet.source:
        return None
    return embed_prompt(config.prompt, config.unet.source)


def check_fingerprint(tokenizer: Tokenizer, expected: str, origin: str) -> None:
    """Refuses a tokenizer other than the one a diffusion model was trained with."""
    found = tokenizer.fingerprint()
    if found != expected:
        raise WeightsError(
            f"{origin}: was trained with tokenizer {expected[:12]}, but this one is {found[:12]}: "
            "give the tokenizer it was trained with, or train the diffusion anew"
        )


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pads (B, C, H, W) on the right and at the bottom, by reflection where the picture is large enough."""
    height, width = x.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    mode = "reflect" if right < width and bottom < height else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode) if right or bottom else x
