"""Steps that are not finite: skipped, gone back from, and in the end explained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor

from defusion.averaging import ExponentialMovingAverage
from defusion.checkpoints import SafeCheckpointIO
from defusion.guard import DivergedError, NonFiniteGuard
from defusion.tokenizer.network import Tokenizer
from defusion.types import Batch
from tests.diffusion.test_module import data, module, trainer

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*not finite")


class Overflow(Callback):
    """Makes one gradient infinite at the steps it is told; keeps the weights after each step."""

    def __init__(self, is_bad: Callable[[int], bool]) -> None:
        self.is_bad = is_bad
        self.weights: list[dict[str, Tensor]] = []
        self.rates: list[float] = []

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.is_bad(trainer.global_step):
            gradient = pl_module.get_parameter("model.unet.head.weight").grad
            assert gradient is not None
            gradient[0, 0] = torch.inf

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self.weights.append({name: own.detach().clone() for name, own in pl_module.named_parameters()})
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> str:
    tokenizer.save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


def fit(
    folder: str, root: Path, steps: int, overflow: Callback, guard: NonFiniteGuard, saved_every: int | None = None
) -> LightningModule:
    saving: list[Callback] = [ModelCheckpoint(root, save_last=True, every_n_train_steps=saved_every, save_top_k=-1)]
    learner = module(folder, learning_rate=1e-3, final_learning_rate=1e-3)
    callbacks = [overflow, guard, ExponentialMovingAverage(0.5), *(saving if saved_every else [])]
    trainer(root, steps, enable_checkpointing=saved_every is not None, callbacks=callbacks).fit(learner, data(steps))
    return learner


def fit_with_one_before(folder: str, root: Path, steps: int, spoil: Callback) -> LightningModule:
    """Checkpoints every two steps as in trainings, with the one before kept; it goes back after one bad step."""
    saving = ModelCheckpoint(root, save_last=True, every_n_train_steps=2, enable_version_counter=False)
    callbacks = [spoil, NonFiniteGuard(patience=1), saving]
    learner = module(folder, learning_rate=1e-3)
    plugins = [SafeCheckpointIO()]
    trainer(root, steps, enable_checkpointing=True, callbacks=callbacks, plugins=plugins).fit(learner, data(steps))
    return learner


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.fault
def test_one_such_step_changes_nothing(folder: str, tmp_path: Path) -> None:
    overflow, guard = Overflow(lambda step: step == 3), NonFiniteGuard(patience=2)
    with pytest.warns(RuntimeWarning, match=r"step 3: not finite: gradients of 1 of \d+ .*unet\.head\.weight; skipped"):
        learner = fit(folder, tmp_path, 6, overflow, guard)
    assert same(overflow.weights[3], overflow.weights[4])
    assert not same(overflow.weights[4], overflow.weights[5])
    assert guard.skipped == 1
    assert all(own.isfinite().all() for own in learner.state_dict().values())


@pytest.mark.fault
def test_several_in_a_row_go_back_to_the_last_checkpoint_at_half_the_rate(folder: str, tmp_path: Path) -> None:
    """Checkpoints after 4, 8, ... steps; steps 6 to 8 are bad, so after 9 the weights are those that 8 steps gave."""
    overflow, guard = Overflow(lambda step: step in (6, 7, 8)), NonFiniteGuard(patience=3)
    with pytest.warns(RuntimeWarning, match=r"3 steps in a row were not finite: back to .*last\.ckpt, learning rate"):
        fit(folder, tmp_path, 12, overflow, guard, saved_every=4)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["NonFiniteGuard"]
    assert kept == guard.state_dict() == {"skipped": 3, "in_a_row": 0, "returned": 1}, "the checkpoint had none yet"
    assert same(overflow.weights[9], overflow.weights[6])
    assert not same(overflow.weights[10], overflow.weights[9])
    assert overflow.rates[9] == pytest.approx(overflow.rates[8] / 2)
    assert overflow.rates[11] == pytest.approx(overflow.rates[8] / 2)


@pytest.mark.fault
def test_a_checkpoint_that_is_not_finite_is_passed_over(folder: str, tmp_path: Path) -> None:
    class Poison(Overflow):
        """Spoils the weights after two steps, before the second checkpoint."""

        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            if trainer.global_step == 4:
                pl_module.get_parameter("model.unet.head.weight").data.fill_(torch.nan)

    poison = Poison(lambda step: False)
    learner = fit_with_one_before(folder, tmp_path, 7, poison)
    assert same(poison.weights[5], poison.weights[2])
    assert all(own.isfinite().all() for own in learner.state_dict().values())


@pytest.mark.fault
def test_a_checkpoint_with_moments_that_are_not_finite_is_passed_over(folder: str, tmp_path: Path) -> None:
    class Poison(Overflow):
        """Spoils a moment of the optimiser before the second checkpoint, and a gradient after it."""

        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            if trainer.global_step == 4:
                state = trainer.optimizers[0].state[pl_module.get_parameter("model.unet.head.weight")]
                next(own for own in state.values() if own.ndim > 0).fill_(torch.nan)

    poison = Poison(lambda step: step == 4)
    with pytest.warns(RuntimeWarning, match=r"back to .*last\.ckpt\.before"):
        fit_with_one_before(folder, tmp_path, 6, poison)
    assert same(poison.weights[5], poison.weights[2])


@pytest.mark.fault
def test_a_damaged_checkpoint_is_passed_over(folder: str, tmp_path: Path) -> None:
    class Damage(Overflow):
        """Cuts the last checkpoint before the fourth step overflows."""

        def on_train_batch_start(self, trainer: Trainer, *arguments: Any) -> None:
            super().on_train_batch_start(trainer, *arguments)
            if trainer.global_step == 4:
                file = tmp_path / "last.ckpt"
                file.write_bytes(file.read_bytes()[:-80])

    damage = Damage(lambda step: step == 4)
    with pytest.warns(RuntimeWarning, match=r"back to .*last\.ckpt\.before"):
        fit_with_one_before(folder, tmp_path, 6, damage)
    assert same(damage.weights[5], damage.weights[2])


@pytest.mark.fault
def test_without_end_it_stops_and_says_why(folder: str, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"step 4: not finite after 1 returns.*unet\.head\.weight; batch and"):
        fit(folder, tmp_path, 20, Overflow(lambda step: True), NonFiniteGuard(patience=2, returns=1))


@pytest.mark.fault
def test_a_batch_that_is_not_finite_is_named(folder: str, tmp_path: Path) -> None:
    class Bad(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, _: int) -> None:
            batch.lq.fill_(torch.nan)

    with pytest.raises(DivergedError, match=r"the batch itself is not finite \(lq\): check the data"):
        fit(folder, tmp_path, 20, Bad(), NonFiniteGuard(patience=1, returns=0))
