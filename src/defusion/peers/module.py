"""Training of the peers, as a LightningModule: plain regression, all else as the diffusion trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from defusion.diffusion.loss import Objective, objective
from defusion.optimisation import OptimizerName, scheduled
from defusion.peers.network import SCALE, Peer, PeerConfig
from defusion.types import Batch


class PeerModule(LightningModule):
    """Trains a peer on the samples of the diffusion's training, to restore hq whatever the instruction shows.

    Args:
        network: which one, and its size.
        loss: as the diffusion has it.
        optimizer: likewise.
        learning_rate: peak rate.
        final_learning_rate: at the end of the cosine decay.
        warmup_steps: of linear warm-up.
        weight_decay: decoupled.
        gradient_clip: largest norm of the gradient.
    """

    def __init__(
        self,
        network: PeerConfig,
        loss: Objective = "rmse",
        optimizer: OptimizerName = "muon",
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-6,
        warmup_steps: int = 200,
        weight_decay: float = 0.0,
        gradient_clip: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = Peer(network).to(memory_format=torch.channels_last)
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of regression."""
        restored = self.model(batch.lq.contiguous(memory_format=torch.channels_last))
        losses = objective(SCALE * restored, SCALE * batch.hq, self.loss)
        self.log("train/loss", losses.mean(), prog_bar=True, batch_size=len(losses))
        return losses.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> Mapping[str, Any]:
        """Restores the batch; the metrics are the callback's."""
        return {"restored": self.model.restore(batch.lq.contiguous(memory_format=torch.channels_last))}

    def configure_optimizers(self) -> Any:
        """The optimiser, with linear warm-up and cosine decay over the whole run."""
        return scheduled(
            self.optimizer,
            list(self.model.parameters()),
            self.model.hidden_weights(),
            self.trainer.estimated_stepping_batches,
            self.learning_rate,
            self.final_learning_rate,
            self.warmup_steps,
            self.weight_decay,
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips the gradient and logs its norm."""
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.log("train/gradient_norm", norm)

    def save_weights(self, folder: Path) -> Path:
        """Writes the network for inference, read by `Peer.load`."""
        return self.model.save(folder)
