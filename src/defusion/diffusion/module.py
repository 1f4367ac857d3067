"""Training of the degradation diffusion, as a LightningModule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from defusion.averages import Averages
from defusion.diffusion.loss import Objective, objective
from defusion.diffusion.model import Defusion, DefusionConfig, check_fingerprint, pad_to_multiple
from defusion.distributed import places, whole
from defusion.optimisation import OptimizedModule, OptimizerName
from defusion.random import generator, normal, normals, uniform
from defusion.sharding import hold, share_out
from defusion.tokenizer.network import Tokenizer
from defusion.types import Batch, Image

_STATES = {"state_dict", "current_model_state"}
"""Of a checkpoint: the model's, or its average's beside its own."""
_CEILING = "val/autoencoder_psnr"
_VALIDATION_STREAM = 1
_TRAJECTORY_STEPS = 4


class DiffusionModule(OptimizedModule):
    """Trains a U-Net to predict the degradation that the visual instruction shows (paper, section 3).

    Args:
        tokenizer: folder of a trained tokenizer; it stays frozen.
        model: the network, the process, and how instructions enter.
        loss: "mse" (Eq. 11) or "rmse" (ours, see `defusion.diffusion.loss`).
        terminal_probability: share of samples trained at t = 1, where the first (or only) step of a
            sampler starts; the others have t ~ U(0, 1).
        optimizer: "muon" (hidden matrices orthogonalised, AdamW for the rest), "adamw", or "adam", the paper's.
        learning_rate: peak rate.
        final_learning_rate: at the end of the cosine decay.
        warmup_steps: of linear warm-up.
        weight_decay: decoupled.
        gradient_clip: largest norm of the gradient (the trainer's own clipping refuses fused optimisers).
        validation_steps: DDIM steps of a validation picture.
        channels_last: memory format of the U-Net; the faster one on CPUs with bf16 and on GPUs.
        compile: compile the U-Net with torch.compile.
        start: folder of weights to start from, of the same model or one with fewer blocks a level, for example EMA
            weights of an interrupted run or of a run on smaller crops; null for fresh ones.
        seed: of t and eps; with the step it fixes every draw.
    """

    def __init__(
        self,
        tokenizer: str,
        model: DefusionConfig = DefusionConfig(),
        loss: Objective = "rmse",
        terminal_probability: float = 0.5,
        optimizer: OptimizerName = "muon",
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-6,
        warmup_steps: int = 200,
        weight_decay: float = 0.0,
        gradient_clip: float = 1.0,
        validation_steps: int = 1,
        channels_last: bool = True,
        compile: bool = False,
        start: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer, learning_rate, final_learning_rate, warmup_steps, weight_decay, gradient_clip)
        self.model = Defusion(model, Tokenizer.load(tokenizer))
        if start is not None:
            self.model.start_from(start)
        if channels_last:
            self.model.unet.to(memory_format=torch.channels_last)
        if compile:
            self.model.unet.compile()
        self.loss = loss
        self.terminal_probability = terminal_probability
        self.validation_steps = validation_steps
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.seed = seed
        self.averages = Averages([_CEILING])
        self._validated = 0
        """Pictures of this process and of the validation under way."""

    def configure_model(self) -> None:
        """Shares the network out over the processes where the strategy is "sharded", see `defusion.sharding`."""
        if self.device_mesh is None:
            return
        if self.optimizer == "muon":
            raise ValueError(
                "model.optimizer: muon orthogonalises whole matrices, of which --trainer.strategy sharded leaves each "
                "process a part: take adamw"
            )
        labels = [] if self.model.labels is None else [self.model.labels]
        share_out([*self.model.unet.parts(), *labels], self.device_mesh["data_parallel"])

    def on_fit_start(self) -> None:
        """Checks that the data shows the grounds that the tokenizer knows, on crops that the network takes."""
        data = getattr(self.trainer, "datamodule", None)
        self.model.tokenizer.config.check_chart(data)
        stride, crop = self.model.config.stride, getattr(data, "crop_size", None)
        if crop is not None and crop % stride:
            raise ValueError(f"data.crop_size: expected a multiple of {stride}, as the network works on, got {crop}")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of Eq. 11 in degradation space."""
        lq = batch.lq.contiguous(memory_format=self.memory_format)
        tokens = self.model.tokens(batch.ground, batch.instruction, batch.shown)
        y0 = self.model.y0(lq, batch.target)
        draws = self._draws(batch_idx, len(lq))
        eps = normal(len(lq), y0.shape[1:], draws, self.device)
        t, chance = uniform(len(lq), (2,), draws, device=self.device).unbind(1)
        t = torch.where(chance < self.terminal_probability, 1.0, t)
        process = self.model.config.process
        output = self.model(process.noised(y0, eps, t), t, lq, tokens)
        losses = objective(output, process.target(y0, eps, t), self.loss)
        self.log("train/loss", losses.mean(), prog_bar=True, batch_size=len(lq), sync_dist=True)
        return losses.mean()

    def _draws(self, batch_idx: int, count: int) -> list[torch.Generator]:
        """A generator a sample, by its place in what all processes and accumulated batches of a step see together.

        One process with large batches so draws as several with smaller ones do.
        """
        before = batch_idx % self.trainer.accumulate_grad_batches
        own = places(count, before * count)
        return [generator(self.seed, self.global_step, place, device=self.device) for place in own]

    def validation_step(self, batch: Batch, batch_idx: int) -> Mapping[str, Any]:
        """Restores the batch; the metrics are the callback's, and so are the pictures of the trajectory."""
        if self.model.autoencoder is not None:
            self._log_ceiling(batch.hq)
        own = places(len(batch.lq), self._validated)
        self._validated += len(batch.lq)
        outputs: dict[str, Any] = {"restored": self.restorations(batch, own, self.validation_steps)[-1]}
        if batch_idx == 0:
            outputs["trajectory"] = self.restorations(batch, own, _TRAJECTORY_STEPS)
        return outputs

    def _log_ceiling(self, hq: Image) -> None:
        """PSNR of clean pictures that went through the autoencoder alone: no restoration can be better."""
        assert self.model.autoencoder is not None
        clean = pad_to_multiple(hq, self.model.config.stride)
        seen = self.model.autoencoder.decode(self.model.autoencoder.encode(clean))[..., : hq.shape[-2], : hq.shape[-1]]
        ceiling = -10 * torch.log10((seen.clamp(0, 1) - hq).square().mean((1, 2, 3))).mean()
        self.averages.update({_CEILING: ceiling}, len(hq))

    def on_validation_epoch_start(self) -> None:
        """Starts afresh; processes have each their number of pictures, for which they need the network whole."""
        self.averages.reset()
        self._validated = 0
        hold(self, whole=True)

    def on_validation_epoch_end(self) -> None:
        """Logs what an autoencoder alone reaches."""
        hold(self, whole=False)
        if self.model.autoencoder is not None:
            self.log_dict(self.averages.compute(), prog_bar=True)

    def restorations(self, batch: Batch, numbers: Sequence[int], steps: int) -> list[Image]:
        """The restored pictures after each step of DDIM, noise of each from the seed and its number alone."""
        tokens = self.model.tokens(batch.ground, batch.instruction, batch.shown)
        draws = [generator(self.seed, _VALIDATION_STREAM, number, device=self.device) for number in numbers]
        draw = normals(draws, self.device)
        lq = batch.lq.contiguous(memory_format=self.memory_format)
        return list(self.model.restorations(lq, tokens, draw, steps))

    def hidden_weights(self) -> list[nn.Parameter]:
        """Of the network, what Muon orthogonalises."""
        return self.model.unet.hidden_weights()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the identity of the tokenizer; leaves out what is pretrained and frozen, which can be read again."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["tokenizer_fingerprint"] = self.model.tokenizer.fingerprint()
        frozen = self._frozen()
        for name in _STATES & checkpoint.keys():
            checkpoint[name] = {key: value for key, value in checkpoint[name].items() if key not in frozen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint that was trained with another tokenizer; puts back what was left out."""
        super().on_load_checkpoint(checkpoint)
        check_fingerprint(self.model.tokenizer, checkpoint["tokenizer_fingerprint"], "checkpoint")
        frozen = {key: whole(own).cpu() for key, own in self._frozen().items()}
        for name in _STATES & checkpoint.keys():
            checkpoint[name] = frozen | checkpoint[name]

    def _frozen(self) -> dict[str, Tensor]:
        """Of pretrained networks, the state that does not learn, or this process's part of it."""
        learning = {name for name, own in self.named_parameters() if own.requires_grad}
        prefixes = ("model.autoencoder.", "model.unet.network.")
        state = self.state_dict()
        return {key: own for key, own in state.items() if key.startswith(prefixes) and key not in learning}

    def save_weights(self, folder: Path) -> Path:
        """Writes the network for inference, read by `Defusion.load`."""
        return self.model.save(folder)
