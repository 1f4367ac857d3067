"""Training of the peers, as a LightningModule: plain regression, all else as the diffusion trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from defusion.diffusion.loss import Objective, objective
from defusion.optimisation import OptimizedModule, OptimizerName
from defusion.peers.network import SCALE, Peer, PeerConfig
from defusion.types import Batch


class PeerModule(OptimizedModule):
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
        super().__init__(optimizer, learning_rate, final_learning_rate, warmup_steps, weight_decay, gradient_clip)
        self.model = Peer(network).to(memory_format=torch.channels_last)
        self.loss = loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of regression."""
        restored = self.model(batch.lq.contiguous(memory_format=torch.channels_last))
        losses = objective(SCALE * restored, SCALE * batch.hq, self.loss)
        self.log("train/loss", losses.mean(), prog_bar=True, batch_size=len(losses))
        return losses.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> Mapping[str, Any]:
        """Restores the batch; the metrics are the callback's."""
        return {"restored": self.model.restore(batch.lq.contiguous(memory_format=torch.channels_last))}

    def hidden_weights(self) -> list[nn.Parameter]:
        """Of the network, what Muon orthogonalises."""
        return self.model.hidden_weights()

    def save_weights(self, folder: Path) -> Path:
        """Writes the network for inference, read by `Peer.load`."""
        return self.model.save(folder)
