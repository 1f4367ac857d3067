"""The public interface of a trained model: degraded pictures and an instruction in, restored pictures out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.standard import Drawn
from defusion.describer.description import Description
from defusion.describer.network import Describer
from defusion.diffusion.model import Defusion
from defusion.diffusion.sampler import Sampler
from defusion.instruction import NULL, VisualInstruction
from defusion.precision import autocast, default_device
from defusion.pretrained import find
from defusion.restore.memory import tile_side, tiles_at_once
from defusion.restore.noise_field import NoiseField, normals_at
from defusion.restore.pictures import PictureLike, as_batch
from defusion.restore.restoration import Restoration
from defusion.restore.strength import Share, Strength, shares
from defusion.restore.tiling import Tiling, Watch, Window, blended
from defusion.restore.tone import toned
from defusion.types import Image, Tokens

AUTO = "auto"
"""The instruction that the model writes itself, see `defusion.describer`."""

Instruction: TypeAlias = VisualInstruction | Degradation | Drawn | str
"""A chart and its degraded twin; what degrades a chart; or its name: "rain", "rain:0.7+noise:25", "clean", "auto"."""

_NO_DESCRIBER = (
    "instruction: 'auto' needs a describer beside the weights, which these have not: take weights with one (--weights "
    "small), train one with `make train-describer`, or restore by another instruction (rain)"
)

OVERLAP = 128
"""Pixels that neighbouring tiles share at least: haze is judged by wide surroundings (tests/restore/test_seams.py)."""


class Restorer:
    """Removes from pictures what a visual instruction shows.

    Args:
        model: a trained network.
        device: where to run; the CUDA device where there is one by default.
        describer: writes the instruction "auto"; None without.
    """

    def __init__(
        self, model: Defusion, device: torch.device | str | None = None, describer: Describer | None = None
    ) -> None:
        self.device = torch.device(device) if device is not None else default_device()
        self.model = model.eval().to(self.device)
        self.model.unet.to(memory_format=torch.channels_last)
        self.describer = None if describer is None else describer.eval().to(self.device)
        known = model.tokenizer.config
        self.chart = known.chart

    @classmethod
    def from_pretrained(
        cls,
        weights: Path | str = "small",
        device: torch.device | str | None = None,
        *,
        revision: str | None = None,
        cache_dir: Path | str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> "Restorer":
        """Reads trained weights (safetensors and JSON); nothing in them is run.

        Args:
            weights: the name of a shipped model, a folder written in training or by `save_pretrained`, or the id of a
                model on the Hugging Face hub, "owner/name".
            device: where to run; the CUDA device where there is one by default.
            revision: branch, tag or commit on the hub.
            cache_dir: where models of the hub are kept; theirs by default.
            local_files_only: use what was downloaded before.
            token: for private models of the hub.

        Raises:
            WeightsError: when there are none, or a file is missing, damaged, or does not fit the others.
        """
        folder = find(weights, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token)
        model = Defusion.load(folder)
        own = folder / "describer"
        describer = Describer.load(own, model.tokenizer) if (own / "config.json").exists() else None
        return cls(model, device, describer)

    def save_pretrained(self, folder: Path | str) -> Path:
        """Writes a folder for `from_pretrained`, which can be uploaded to the Hugging Face hub as it is."""
        self.model.save(folder)
        own = Path(folder) / "describer"
        if self.describer is not None:
            self.describer.save(own)
        elif (own / "config.json").exists():  # another model's
            (own / "config.json").unlink()
        return Path(folder)

    def instruction(self, instruction: Instruction, seed: int = 0) -> VisualInstruction:
        """What a name or an operator shows on the canonical chart; an instruction as it is.

        Args:
            instruction: see `Instruction`, but for "auto", which depends on the picture (`describe`).
            seed: of what is random in it.

        Raises:
            ValueError: for an unknown name.
        """
        if isinstance(instruction, VisualInstruction):
            return instruction
        if isinstance(instruction, Drawn):
            return VisualInstruction.parameter_matched(instruction, self.chart, seed)
        if isinstance(instruction, Degradation):
            return VisualInstruction.by_operator(instruction, self.chart, seed)
        if instruction == AUTO:
            raise ValueError(
                "instruction: 'auto' depends on the picture; give it to the call, or use describe(picture)"
            )
        for alone in (AUTO, NULL):
            if alone != instruction and alone in instruction.split("+"):
                raise ValueError(
                    f"instruction: expected {alone!r} by itself, got {instruction!r}: leave it or the others out"
                )
        return VisualInstruction.named(instruction, self.chart, seed)

    @torch.inference_mode()
    def describe(self, picture: PictureLike) -> list[Description]:
        """What the model takes for wrong with pictures, one description each: the instruction "auto".

        Args:
            picture: see `PictureLike`.

        Raises:
            ValueError: for weights without a describer.
        """
        if self.describer is None:
            raise ValueError(_NO_DESCRIBER)
        pictures, _ = as_batch(picture)
        return [self.describer.describe(own, self.chart) for own in pictures]

    def check(
        self, instruction: Instruction, strength: Strength = 1.0, steps: int = 1, tile: int | None = None
    ) -> None:
        """Refuses what would fail for every picture; see `__call__`.

        Raises:
            ValueError: for arguments that do not fit.
        """
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        if instruction == AUTO and self.describer is None:
            raise ValueError(_NO_DESCRIBER)
        if instruction != AUTO:
            self.instruction(instruction)
        _graded(instruction, strength)
        self._tiling((1, 1), tile)

    @torch.inference_mode()
    def __call__(
        self,
        picture: PictureLike,
        instruction: Instruction = AUTO,
        *,
        strength: Strength = 1.0,
        steps: int = 1,
        sampler: Sampler = "ddim",
        samples: int = 1,
        seed: int = 0,
        tile: int | None = None,
        watch: Watch = iter,
    ) -> Restoration:
        """Restores pictures of any size.

        Args:
            picture: one picture or several of one size, see `PictureLike`.
            instruction: what to remove, see `Instruction`; by default what the model itself takes for wrong.
            strength: how much of it, in [0, 1]: of all, or of each degradation by name, see `strength.shares`.
            steps: network evaluations, at least 1.
            sampler: "ddim" or "sde".
            samples: restorations, each from noise of its own, whose mean is the result; from 2 on with their deviation.
            seed: of the diffusion noise (and of the instruction's, when it is a name).
            tile: largest side of a tile in pixels; by default as the free memory allows, 0 for the picture whole.
            watch: shows the way through the tiles.

        Raises:
            ValueError: for arguments that do not fit, also `samples` of what has no noise in it.
        """
        lq, batched = as_batch(picture)
        self._check_samples(samples, steps)
        if instruction == AUTO:
            shown: tuple[VisualInstruction, ...] = tuple(self.describe(lq))
        else:
            shown = (self.instruction(instruction, seed),)
        parts = self._parts(instruction, shown, strength, seed)
        mean, deviation = torch.zeros_like(lq), torch.zeros_like(lq) if samples > 1 else None
        for number in range(samples):
            own = torch.zeros_like(lq)
            for weight, tokens in parts:
                own.add_(self._degradation(lq, tokens, steps, sampler, (seed, number), tile, watch), alpha=weight)
            before = own - mean
            mean.add_(before, alpha=1 / (number + 1))
            if deviation is not None:  # Welford's sum of squares
                deviation.addcmul_(before, own - mean)
        if deviation is not None:
            deviation.div_(samples - 1).clamp_(min=0).sqrt_()
        if batched:
            return Restoration(lq, mean, shown, deviation)
        return Restoration(lq[0], mean[0], shown, None if deviation is None else deviation[0])

    def tokens(self, instruction: VisualInstruction) -> Tokens | None:
        """What the network sees of an instruction, (1, N, C); None of a network without instructions."""
        ground = instruction.ground.to(self.device)
        with autocast(self.device):
            visual = self.model.config.instruction == "visual"
            if visual and isinstance(instruction, Description) and instruction.shown != NULL:
                return self.model.described(instruction.codes.to(self.device), ground)
            return self.model.tokens(ground, instruction.picture.to(self.device), (instruction.shown,))

    def _parts(
        self, instruction: Instruction, shown: tuple[VisualInstruction, ...], strength: Strength, seed: int
    ) -> list[tuple[float, Tokens | None]]:
        """The tokens of what is removed, and by what each degradation is multiplied."""
        found = []
        for share in _graded(instruction, strength):
            own = (self.instruction(share.spec, seed),) if share.spec else shown
            tokens = [self.tokens(one) for one in own]
            found.append((share.weight, None if tokens[0] is None else torch.cat(tokens)))  # type: ignore[arg-type]
        return found

    def _degradation(
        self,
        lq: Image,
        tokens: Tokens | None,
        steps: int,
        sampler: Sampler,
        key: tuple[int, int],
        tile: int | None,
        watch: Watch,
    ) -> Tensor:
        """The degradation that one sample removes, (B, 3, H, W), on the CPU."""
        fields = [NoiseField((*key, row)) for row in range(len(lq))]
        tiling, batch = self._tiling(lq.shape[-2:], tile)

        def process(tiles: Tensor, rows: Sequence[int], windows: Sequence[Window]) -> Tensor:
            x = tiles.to(self.device).contiguous(memory_format=torch.channels_last)
            own = None
            if tokens is not None:
                own = tokens[list(rows)] if len(tokens) > 1 else tokens.expand(len(x), -1, -1)
            latent = self.model.config.autoencoder
            draw = normals_at([fields[row] for row in rows], windows, self.device, latent.patch if latent else 1)
            with autocast(self.device):
                degradation = self.model.degradation(x, own, draw, steps, sampler)
            return degradation.float().cpu().contiguous()

        def whole(reduced: Image) -> Tensor:
            window = [Window(0, 0, *reduced.shape[-2:])]
            return torch.cat([process(own[None], [row], window) for row, own in enumerate(reduced)])

        degradation = blended(lq, tiling, process, batch, watch)
        if max(lq.shape[-2:]) > tiling.size and self.model.config.unet.attention_levels:
            return toned(degradation, lq, whole, tiling.size)
        return degradation

    def _tiling(self, size: Sequence[int], tile: int | None) -> tuple[Tiling, int]:
        """How pictures of a height and width are cut, and how many tiles the device takes at once."""
        stride = self.model.config.stride
        overlap = -(-OVERLAP // stride) * stride
        if tile is not None and 0 < tile < 3 * overlap:
            raise ValueError(f"tile: expected at least {3 * overlap} px, three times the overlap, or 0, got {tile}")
        side = tile_side(self.model.config.unet, self.device) if tile is None else tile or max(size)
        side = max(side - side % stride if tile else side + -side % stride, 3 * overlap)
        return Tiling(side, overlap, stride), tiles_at_once(self.model.config.unet, self.device, side)

    def _check_samples(self, samples: int, steps: int) -> None:
        if samples < 1:
            raise ValueError(f"samples: expected at least 1, got {samples}")
        if samples > 1 and steps == 1 and not self.model.config.process.needs_noise:
            raise ValueError(
                "samples: in one step this network sees no noise, and all samples are the same; take steps=2 or more"
            )


def _graded(instruction: Instruction, strength: Strength) -> list[Share]:
    """The parts of a graded restoration; see `shares`."""
    if not isinstance(strength, Mapping):
        return shares("", strength)
    if not isinstance(instruction, str) or instruction == AUTO:
        raise ValueError(
            "strength: one a degradation needs an instruction by names, as in 'rain+noise', got "
            f"{instruction if isinstance(instruction, str) else 'pictures or an operator'}: give one number"
        )
    return shares(instruction, strength)
