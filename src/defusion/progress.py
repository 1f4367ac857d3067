"""The progress of a training: of all its steps, wherever it was begun."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from typing_extensions import override


class TrainingProgress(RichProgressBar):
    """Lightning's bar over the optimiser steps of the whole training, rather than over the batches of an epoch.

    A training that goes on begins where it was left, and the time that remains is that to its end.
    """

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.progress is not None:
            total, done = trainer.estimated_stepping_batches, trainer.global_step
            self.train_progress_bar_id = self.progress.add_task("Step", total=total, completed=done)

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar goes on."""

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, trainer.global_step - 1)
