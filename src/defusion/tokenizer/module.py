"""Training of the degradation tokenizer, as a LightningModule."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn import functional as F

from defusion.averages import Averages
from defusion.distributed import averaged, places
from defusion.optimisation import warmup_cosine
from defusion.random import generator, uniform
from defusion.tokenizer.discriminator import PatchDiscriminator
from defusion.tokenizer.loss import (
    PerceptualConfig,
    PerceptualLoss,
    adaptive_weight,
    contrast_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from defusion.tokenizer.network import Tokenizer, TokenizerConfig, TokenizerOutput
from defusion.tokenizer.pictures import token_picture
from defusion.types import Batch, Image

_COMMITMENT_WEIGHT = 0.25
"""beta of L_VQ (VQ-VAE)."""
_BETAS = (0.9, 0.99)
"""Of the tokenizer's Adam."""
_DISCRIMINATOR_BETAS = (0.5, 0.9)
"""Of the discriminator's, as VQGAN has them."""
_PERCEPTUAL = "perceptual."
"""Prefix of the frozen LPIPS weights, which stay out of checkpoints."""

_PICTURE = "val/ground_instruction_reconstruction_codes"


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The adversarial term.

    Attributes:
        channels: of the discriminator's first layer.
        layers: its convolutions of stride 2.
        weight: of the adversarial loss, on top of the adaptive weight.
        start_step: the step from which it takes part, after the reconstruction has settled.
    """

    channels: int = 64
    layers: int = 3
    weight: float = 0.8
    start_step: int = 10_000


class TokenizerModule(LightningModule):
    """Trains a tokenizer on instructions (paper, section 2).

    The loss is MSE + lambda LPIPS + contrast + 0.25 commitment + adaptive adversarial, in pictures
    of [0, 1]. Optimised by hand: `trainer.global_step` counts the tokenizer's steps; gradients are
    clipped here, so the trainer's `gradient_clip_val` stays unset.

    Args:
        config: the shape of the tokenizer.
        perceptual: the LPIPS term; null for none.
        discriminator: the adversarial term; null for none.
        contrast_weight: of the local contrast term (ours, not the paper's; see `contrast_loss`).
        learning_rate: peak rate of Adam, after a linear warm-up and before a cosine decay to 0.
        warmup_steps: of the warm-up.
        gradient_clip: largest norm of the tokenizer's gradient.
        clean_probability: share of samples trained on the clean ground instead of the instruction.
        seed: of which samples are clean and of the revival of dead codes.
    """

    def __init__(
        self,
        config: TokenizerConfig = TokenizerConfig(),
        perceptual: PerceptualConfig | None = None,
        discriminator: DiscriminatorConfig | None = None,
        contrast_weight: float = 0.02,
        learning_rate: float = 1e-3,
        warmup_steps: int = 50,
        gradient_clip: float = 1.0,
        clean_probability: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.contrast_weight = contrast_weight
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.gradient_clip = gradient_clip
        self.clean_probability = clean_probability
        self.seed = seed
        self.tokenizer = Tokenizer(config, seed=seed).to(memory_format=torch.channels_last)
        self.perceptual_config, self.discriminator_config = perceptual, discriminator
        self.perceptual = PerceptualLoss(perceptual) if perceptual else None
        self.discriminator = PatchDiscriminator(discriminator.channels, discriminator.layers) if discriminator else None
        # DDP averages gradients of one backward pass a step: the discriminator's, of another one, are averaged here.
        apart = [f"discriminator.{name}" for name in self.discriminator.state_dict()] if self.discriminator else []
        self._ddp_params_and_buffers_to_ignore = apart
        self.averages = Averages(f"val/{name}" for name in ("loss", "psnr", "mse", "contrast", "lpips"))
        self.register_buffer("code_counts", torch.zeros(config.num_codes), persistent=False)
        self.code_counts: Tensor

    def configure_optimizers(self) -> Any:
        """Adam with warm-up and cosine for the tokenizer, and for the discriminator from its start."""
        steps = self.trainer.estimated_stepping_batches
        trained: list[tuple[nn.Module, tuple[float, float], float]] = [(self.tokenizer, _BETAS, steps)]
        if self.discriminator is not None and self.discriminator_config is not None:
            remaining = steps - self.discriminator_config.start_step
            trained.append((self.discriminator, _DISCRIMINATOR_BETAS, remaining))
        optimizers, schedules = [], []
        for network, betas, total in trained:
            optimizers.append(torch.optim.Adam(network.parameters(), lr=self.learning_rate, betas=betas))
            schedules.append(warmup_cosine(optimizers[-1], self.warmup_steps, total))
        return optimizers, schedules

    def on_fit_start(self) -> None:
        """Checks that the data shows the grounds of the configuration."""
        self.tokenizer.config.check_chart(getattr(self.trainer, "datamodule", None))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One step of the tokenizer and, once it takes part, one of the discriminator."""
        optimizers, schedules = _listed(self.optimizers()), _listed(self.lr_schedulers())
        ground = self._replace_by_clean(batch)
        output: TokenizerOutput = self.tokenizer(ground)
        reconstruction = self._reconstruction_loss(output.reconstruction, ground, "train")
        loss = reconstruction + _COMMITMENT_WEIGHT * output.commitment
        adversarial = self.discriminator_config is not None and self.global_step >= self.discriminator_config.start_step
        if adversarial:
            loss = loss + self._adversarial_loss(output.reconstruction, reconstruction)
        optimizers[0].zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizers[0], self.gradient_clip, "norm")
        optimizers[0].step()
        schedules[0].step()
        if adversarial:
            self._train_discriminator(ground, output.reconstruction.detach(), optimizers[1])
            schedules[1].step()
        logged = {"train/loss": loss, "train/commitment": output.commitment}
        self.log_dict(logged, batch_size=len(ground), sync_dist=True)

    def _replace_by_clean(self, batch: Batch) -> Image:
        """The instructions, a share of them replaced by their clean grounds (paper, section 2)."""
        draws = [generator(self.seed, self.global_step, place) for place in places(len(batch.ground))]
        clean = uniform(len(batch.ground), (1, 1, 1), draws) < self.clean_probability
        ground = torch.where(clean.to(batch.ground.device), batch.ground, batch.instruction)
        return ground.contiguous(memory_format=torch.channels_last)

    def _reconstruction_loss(self, reconstruction: Tensor, ground: Image, stage: str) -> Tensor:
        """L_rec and the contrast term, a scalar; each is logged."""
        terms = {"mse": F.mse_loss(reconstruction, ground)}
        loss = terms["mse"]
        if self.contrast_weight:
            terms["contrast"] = contrast_loss(reconstruction, ground)
            loss = loss + self.contrast_weight * terms["contrast"]
        if self.perceptual is not None and self.perceptual_config is not None:
            terms["lpips"] = self.perceptual(reconstruction, ground)
            loss = loss + self.perceptual_config.weight * terms["lpips"]
        logged = {f"{stage}/{name}": term for name, term in terms.items()}
        if stage == "val":
            self.averages.update(logged, len(ground))
        else:
            self.log_dict(logged, batch_size=len(ground), sync_dist=True)
        return loss

    def _adversarial_loss(self, reconstruction: Tensor, reconstruction_loss: Tensor) -> Tensor:
        """The generator's hinge loss in VQGAN's balance with the reconstruction, a scalar."""
        assert self.discriminator is not None
        assert self.discriminator_config is not None
        self.discriminator.requires_grad_(False)
        loss = hinge_generator_loss(self.discriminator(reconstruction))
        self.discriminator.requires_grad_(True)
        weight = adaptive_weight(reconstruction_loss, loss, self.tokenizer.decoder.last_layer)
        logged = {"train/adversarial": loss, "train/adaptive_weight": weight}
        self.log_dict(logged, batch_size=len(reconstruction), sync_dist=True)
        return self.discriminator_config.weight * weight * loss

    def _train_discriminator(self, real: Image, fake: Image, optimizer: LightningOptimizer) -> None:
        assert self.discriminator is not None
        loss = hinge_discriminator_loss(self.discriminator(real), self.discriminator(fake))
        optimizer.zero_grad()
        self.manual_backward(loss)
        for parameter in self.discriminator.parameters():
            if parameter.grad is not None:
                parameter.grad = averaged(parameter.grad)
        # Stepped without Lightning's wrapper, which would count the step in trainer.global_step.
        trainer: Any = self.trainer
        for callback in trainer.callbacks:
            callback.on_before_optimizer_step(self.trainer, self, optimizer.optimizer)
        optimizer.optimizer.step()
        self.log("train/discriminator", loss, batch_size=len(real), sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        """Starts the count of the codes in use."""
        self.code_counts.zero_()
        self.averages.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Reconstruction of the instructions, per-picture PSNR, and a picture of the first batch."""
        ground = batch.instruction.contiguous(memory_format=torch.channels_last)
        output: TokenizerOutput = self.tokenizer(ground)
        loss = self._reconstruction_loss(output.reconstruction, ground, "val")
        error = (output.reconstruction.clamp(0, 1) - ground).square().mean((1, 2, 3))
        psnr = -10 * torch.log10(error.clamp(min=1e-10)).mean()
        self.averages.update({"val/loss": loss, "val/psnr": psnr}, len(ground))
        self.code_counts += torch.bincount(output.indices.flatten(), minlength=len(self.code_counts))
        if batch_idx == 0 and isinstance(self.logger, TensorBoardLogger):
            picture = token_picture(self.tokenizer, batch.ground, batch.instruction)
            self.logger.experiment.add_image(_PICTURE, picture, self.global_step)

    def on_validation_epoch_end(self) -> None:
        """Logs the share of codes in use and the perplexity of their distribution."""
        counts = self.trainer.strategy.reduce(self.code_counts, reduce_op="sum")
        share = counts / counts.sum().clamp(min=1)
        perplexity = torch.exp(-torch.special.xlogy(share, share).sum())
        usage = (counts > 0).float().mean()
        logged = {"val/codebook_usage": usage, "val/codebook_perplexity": perplexity} | self.averages.compute()
        self.log_dict(logged, sync_dist=True)  # they are the same in all processes already

    def save_weights(self, folder: Path) -> None:
        """Writes the tokenizer for the diffusion, read by `Tokenizer.load`."""
        self.tokenizer.save(folder)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves the frozen LPIPS weights out."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith(_PERCEPTUAL)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts the LPIPS weights back that `__init__` read."""
        frozen = {k: v for k, v in self.state_dict().items() if k.startswith(_PERCEPTUAL)}
        checkpoint["state_dict"] = checkpoint["state_dict"] | frozen


def _listed(value: Any) -> list[Any]:
    """Lightning gives one optimiser or scheduler bare, several in a list."""
    return value if isinstance(value, list) else [value]
