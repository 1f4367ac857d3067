"""The degradation tokenizer: a convolutional VQ autoencoder of grounds (paper, section 2)."""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from defusion.grounds.chart import Chart
from defusion.tokenizer.autoencoder import GROUP_CHANNELS, Decoder, Encoder
from defusion.tokenizer.quantizer import VectorQuantizer
from defusion.types import GroundKind, Image, Tokens
from defusion.weights import WeightsError, load_weights, save_weights, stored


@dataclass(frozen=True)
class TokenizerConfig:
    """The shape of a tokenizer.

    Attributes:
        ground_size: side of the square grounds it is trained on, in pixels.
        ground_kind: what is on them, as `defusion.grounds.chart.Chart` has it: a model is instructed on the charts
            that it knows.
        channels: of each stage; each stage halves the resolution. Multiples of 16.
        blocks: residual blocks a stage.
        num_codes: size K of the codebook.
        token_channels: dimensions C of a code.
    """

    ground_size: int = 64
    ground_kind: GroundKind = "te42"
    channels: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    num_codes: int = 512
    token_channels: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if not self.channels or any(width < 1 or width % GROUP_CHANNELS for width in self.channels):
            raise ValueError(f"channels: expected multiples of {GROUP_CHANNELS}, got {self.channels}")
        if any(4 * before % after or 4 * after % before for before, after in pairwise(self.channels)):
            raise ValueError(f"channels: expected each to be 1, 2 or 4 times its neighbour, got {self.channels}")
        for name, least in (("ground_size", 1), ("blocks", 1), ("num_codes", 2), ("token_channels", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if self.ground_size % self.stride:
            raise ValueError(
                f"ground_size: expected a multiple of {self.stride} ({len(self.channels)} stages, "
                f"each halves the resolution), got {self.ground_size}"
            )

    def check_chart(self, data: object) -> None:
        """Refuses a data module whose `chart` is not that of this tokenizer; one without has none to check."""
        chart: Any = getattr(data, "chart", None)
        if chart is not None and (chart.size, chart.kind) != (self.ground_size, self.ground_kind):
            raise ValueError(
                f"data.synthesis.chart: expected the tokenizer's grounds, size {self.ground_size} and kind "
                f"{self.ground_kind}, got size {chart.size} and kind {chart.kind}: give both stages the same chart"
            )

    @property
    def chart(self) -> Chart:
        """What draws the grounds that it is trained on."""
        return Chart(self.ground_size, self.ground_kind)

    @property
    def stride(self) -> int:
        """Pixels of the ground a token, along one side."""
        return 2 ** len(self.channels)

    @property
    def num_tokens(self) -> int:
        """Tokens of one ground of `ground_size`."""
        return (self.ground_size // self.stride) ** 2


@dataclass(frozen=True)
class TokenizerOutput:
    """What the autoencoder makes of a ground."""

    reconstruction: Tensor
    """(B, 3, Hv, Wv), float32, around [0, 1] but not clipped to it."""
    indices: Tensor
    """(B, N), the codes chosen."""
    commitment: Tensor
    """Scalar, the commitment term of L_VQ before its weight."""


class Tokenizer(nn.Module):
    """Encoder E, codebook Z and decoder D of grounds. Fully convolutional.

    Grounds are (B, 3, Hv, Wv) in [0, 1] with sides divisible by `config.stride`; their N tokens are
    in row-major order.
    """

    def __init__(self, config: TokenizerConfig, seed: int = 0) -> None:
        """Makes an untrained tokenizer.

        Args:
            config: its shape.
            seed: of the revival of dead codes in training, see `VectorQuantizer`.
        """
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.channels, config.blocks, config.token_channels)
        self.quantizer = VectorQuantizer(config.num_codes, config.token_channels, seed=seed)
        self.decoder = Decoder(config.channels, config.blocks, config.token_channels)

    @torch.no_grad()
    def indices(self, ground: Image) -> Tensor:
        """The codebook indices of the tokens, (B, N)."""
        return self.quantizer.nearest(self._features(ground)[0])

    @torch.no_grad()
    def encode(self, ground: Image, quantised: bool = True) -> Tokens:
        """The embeddings z_v of a ground, (B, N, C), quantised or (ablation) as the encoder gives them."""
        return self.quantizer.lookup(self.indices(ground)) if quantised else self._features(ground)[0]

    @torch.no_grad()
    def residual(self, instruction: Image, ground: Image, quantised: bool = True) -> Tokens:
        """E(instruction) - E(ground), (B, N, C), the condition of the diffusion; zero where codes agree."""
        if instruction.shape != ground.shape:
            raise ValueError(
                f"instruction: expected the shape of its ground {tuple(ground.shape)}, got {tuple(instruction.shape)}"
            )
        shown, clean = self.encode(torch.cat((instruction, ground)), quantised).chunk(2)
        return shown - clean

    @torch.no_grad()
    def decode(self, tokens: Tokens, rows: int | None = None) -> Image:
        """The ground that tokens stand for, (B, 3, Hv, Wv) in [0, 1].

        Args:
            tokens: (B, N, C).
            rows: rows of the token grid; a square grid when not given.
        """
        num_tokens = tokens.shape[1]
        rows = round(num_tokens**0.5) if rows is None else rows
        if rows < 1 or num_tokens % rows:
            raise ValueError(f"rows: expected a divisor of the {num_tokens} tokens, got {rows}")
        return self._decode(tokens, (rows, num_tokens // rows)).clamp(0, 1)

    def forward(self, ground: Image) -> TokenizerOutput:
        """Encodes, quantises and decodes; in training mode the codebook follows the features."""
        features, grid = self._features(ground)
        quantized = self.quantizer(features)
        reconstruction = self._decode(quantized.tokens, grid)
        return TokenizerOutput(reconstruction, quantized.indices, quantized.commitment)

    def fingerprint(self) -> str:
        """SHA-256 of the configuration and the state as stored: equal for equal tokenizers, wherever they are."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            kept = stored(value)
            digest.update(f"{name} {tuple(kept.shape)} {kept.dtype}".encode())
            digest.update(kept.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: Path | str) -> None:
        """Writes `config.json` and `tokenizer.safetensors`."""
        save_weights(folder, self.state_dict(), asdict(self.config), name="tokenizer")

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Reads what `save` wrote, in evaluation mode.

        Raises:
            WeightsError: if a file is missing, damaged or made for another model.
        """
        if not Path(folder).is_dir():
            raise WeightsError(
                f"{folder}: no such folder; expected that of a tokenizer, as make train-tokenizer writes it: train one "
                "of this size, or give another (model.tokenizer)"
            )
        state, config = load_weights(folder, name="tokenizer")
        try:
            tokenizer = cls(TokenizerConfig(**config))
            tokenizer.load_state_dict(state)
        except (TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{folder}: not weights of this release's Tokenizer: {error}") from error
        return tokenizer.eval()

    def _features(self, ground: Image) -> tuple[Tensor, tuple[int, int]]:
        """The encoder's output before quantisation, (B, N, C), and its grid (rows, columns)."""
        stride = self.config.stride
        if ground.ndim != 4 or ground.shape[1] != 3 or ground.shape[2] % stride or ground.shape[3] % stride:
            raise ValueError(
                f"ground: expected (B, 3, Hv, Wv) with sides divisible by {stride}, got {tuple(ground.shape)}"
            )
        features = self.encoder(ground * 2 - 1)
        return features.flatten(2).transpose(1, 2), (features.shape[2], features.shape[3])

    def _decode(self, tokens: Tokens, grid: tuple[int, int]) -> Tensor:
        features = tokens.transpose(1, 2).unflatten(2, grid)
        decoded: Tensor = self.decoder(features)
        return (decoded.float() + 1) / 2
