"""The bar of a training counts its steps to the end of all, also after an interruption."""

import math
from pathlib import Path

import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from defusion.progress import TrainingProgress
from defusion.tokenizer.network import Tokenizer
from tests.diffusion.test_module import data, module, trainer

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*your dataloader is not resumable")


class Watch(Callback):
    """Notes what the bar shows after each batch."""

    def __init__(self, bar: TrainingProgress) -> None:
        self.bar = bar
        self.shown: list[tuple[float, float | None]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        self.shown.append((self.bar.train_progress_bar.completed, self.bar.train_progress_bar.total))


def run(
    folder: Path, steps: int, ckpt_path: str | None = None, accumulated: int = 1
) -> list[tuple[float, float | None]]:
    bar = TrainingProgress()
    watch = Watch(bar)
    saving = ModelCheckpoint(folder, save_last=True, every_n_train_steps=1, enable_version_counter=False)
    lone = trainer(
        folder,
        steps,
        enable_checkpointing=True,
        callbacks=[bar, watch, saving],
        enable_progress_bar=True,
        accumulate_grad_batches=accumulated,
    )
    lone.fit(module(str(folder)), data(4), ckpt_path=ckpt_path, weights_only=True)
    return watch.shown


def test_it_counts_steps_over_epochs_and_interruptions(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Epochs of four steps; left after six."""
    tokenizer.save(tmp_path)
    assert run(tmp_path, 6) == [(step, 6) for step in range(1, 7)]
    assert run(tmp_path, 10, "last") == [(step, 10) for step in range(7, 11)]


def test_batches_of_one_step_count_once(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    assert run(tmp_path, 2, accumulated=2) == [(0, 2), (1, 2), (1, 2), (2, 2)]


def test_without_end_it_shows_none(tokenizer: Tokenizer, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
            trainer.should_stop = True

    tokenizer.save(tmp_path)
    bar = TrainingProgress()
    watch = Watch(bar)
    endless = trainer(tmp_path, -1, max_epochs=-1, callbacks=[bar, watch, Stop()], enable_progress_bar=True)
    endless.fit(module(str(tmp_path)), data(2))
    assert watch.shown == [(1, math.inf)]
