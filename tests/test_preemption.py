"""A training that is asked to leave saves first, and goes on as if nothing had been."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from defusion.averaging import ExponentialMovingAverage
from defusion.checkpoints import LastCheckpoint, SafeCheckpointIO
from defusion.preemption import RESUMABLE, SIGNALS, Preemption
from defusion.tokenizer.network import Tokenizer
from tests.diffusion.test_module import data, module, trainer

STEPS = 6


class Scheduler(Callback):
    """Wants the machine back after some steps."""

    def __init__(self, step: int, *numbers: signal.Signals) -> None:
        self.numbers = numbers
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            for number in self.numbers:
                os.kill(os.getpid(), number)


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> str:
    tokenizer.save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


def run(root: Path, *callbacks: Callback, **changes: Any) -> Trainer:
    """Checkpoints of its own come only every 200 steps, as in `experiments/base.yaml`."""
    own = ModelCheckpoint(root, save_last=True, every_n_train_steps=200, enable_version_counter=False)
    return trainer(
        root,
        STEPS,
        enable_checkpointing=True,
        callbacks=[own, Preemption(), *callbacks, ExponentialMovingAverage(0.5)],
        plugins=[SafeCheckpointIO()],
        **changes,
    )


def same_end(whole: Trainer, resumed: Trainer, folder: Path) -> None:
    """To the last bit."""
    one, two = folder / "whole.ckpt", folder / "resumed.ckpt"
    whole.save_checkpoint(one)
    resumed.save_checkpoint(two)
    first, second = (torch.load(file, weights_only=True) for file in (one, two))
    assert first["global_step"] == second["global_step"] == STEPS
    for key in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(second[key], first[key], rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*your dataloader is not resumable")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.fault
def test_it_saves_leaves_and_goes_on_to_the_same_end(folder: str, tmp_path: Path, number: signal.Signals) -> None:
    """Seed 0: weights, average and optimiser to the last bit; in the first 200 steps, in mid-epoch."""
    whole = run(tmp_path / "whole")
    whole.fit(module(folder), data(4))

    before = [signal.getsignal(own) for own in SIGNALS]
    left = run(tmp_path / "left", Scheduler(2, number))
    with pytest.raises(SystemExit) as leaving:
        left.fit(module(folder), data(4))
    assert leaving.value.code == RESUMABLE
    assert [signal.getsignal(own) for own in SIGNALS] == before
    last = tmp_path / "left" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 3

    resumed = run(tmp_path / "left")
    resumed.fit(module(folder), data(4), ckpt_path="last", weights_only=True)
    same_end(whole, resumed, tmp_path)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job, and a `scontrol` that notes in the file what it is told."""
    script, told = tmp_path / "bin" / "scontrol", tmp_path / "told"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    for name, value in {"JOB_ID": 7, "JOB_NAME": "train", "NTASKS": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    return told


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*your dataloader is not resumable")
@pytest.mark.filterwarnings("ignore:.*no last checkpoint available")
@pytest.mark.parametrize("numbers", [SIGNALS, SIGNALS[::-1], SIGNALS[:1], SIGNALS[1:]])
@pytest.mark.fault
def test_under_slurm_it_goes_back_into_the_queue_and_on_to_the_same_end(
    folder: str, tmp_path: Path, numbers: tuple[signal.Signals, ...], slurm: Path
) -> None:
    """By SIGUSR1, also with the SIGTERM of a limit of time, not by that alone (`scancel`).

    The same command, with `--ckpt_path last`, begins and goes on.
    """
    whole = run(tmp_path / "whole")
    whole.fit(module(folder), data(4))
    job = run(tmp_path / "job", Scheduler(2, *numbers))
    with pytest.raises(SystemExit) as leaving:
        job.fit(module(folder), data(4), ckpt_path="last", weights_only=True)
    assert leaving.value.code == RESUMABLE
    assert torch.load(tmp_path / "job" / "last.ckpt", weights_only=True)["global_step"] == 3
    assert (slurm.read_text() if slurm.exists() else "") == ("requeue 7\n" if signal.SIGUSR1 in numbers else "")
    assert not list(tmp_path.rglob("hpc*")), "Lightning's own handler has not saved, too"

    resumed = run(tmp_path / "job")
    resumed.fit(module(folder), data(4), ckpt_path="last", weights_only=True)
    same_end(whole, resumed, tmp_path)


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize(("script", "reason"), [("echo no such job >&2; exit 1", "no such job"), (None, "scontrol")])
@pytest.mark.fault
def test_a_job_that_slurm_does_not_take_back_is_saved_and_said(
    folder: str, tmp_path: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    script: str | None, reason: str,
) -> None:  # fmt: skip
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        (tmp_path / "bin" / "scontrol").write_text(f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    with pytest.raises(SystemExit) as leaving:
        run(tmp_path / "job", Scheduler(2, signal.SIGUSR1)).fit(module(folder), data(4))
    assert leaving.value.code == RESUMABLE
    said = " ".join(capsys.readouterr().out.split())
    assert "does not put job 5_2 back in the queue" in said
    assert reason in said
    assert (tmp_path / "job" / "last.ckpt").exists()


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.fault
def test_gradients_of_half_a_step_are_not_saved(folder: str, tmp_path: Path) -> None:
    for name, batches, accumulated in (("left", 8, 2), ("longer", 3, 4)):  # a step ends with its epoch, too
        left = run(tmp_path / name, Scheduler(1, signal.SIGTERM), accumulate_grad_batches=accumulated)
        with pytest.raises(SystemExit):
            left.fit(module(folder), data(batches))
        assert torch.load(tmp_path / name / "last.ckpt", weights_only=True)["global_step"] == 2
        assert left.fit_loop.epoch_loop.batch_idx == min(3, batches - 1)


class Killed(Callback):
    """After so many batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_start(self, *_: Any) -> None:
        self.batches -= 1
        if self.batches < 0:
            raise RuntimeError("killed")


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*your dataloader is not resumable")
@pytest.mark.fault
@pytest.mark.parametrize("steps", [3, 4, 5])
def test_from_the_end_of_an_epoch_it_goes_on_to_the_same_end(folder: str, tmp_path: Path, steps: int) -> None:
    """Epochs of so many steps, after the first of which nothing more is saved until it is killed: to the last bit."""

    def begin(root: Path, *callbacks: Callback) -> Trainer:
        own = [LastCheckpoint(100), *callbacks, ExponentialMovingAverage(0.5)]
        options = {"enable_checkpointing": True, "plugins": [SafeCheckpointIO()], "limit_val_batches": 1}
        return trainer(root, STEPS, callbacks=own, **options)

    whole = begin(tmp_path / "whole")
    whole.fit(module(folder), data(steps))
    (last,) = (tmp_path / "whole").rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == STEPS
    with pytest.raises(RuntimeError, match="killed"):
        begin(tmp_path / "left", Killed(5)).fit(module(folder), data(steps))
    (last,) = (tmp_path / "left").rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == steps
    resumed = begin(tmp_path / "left")
    resumed.fit(module(folder), data(steps), ckpt_path="last", weights_only=True)
    same_end(whole, resumed, tmp_path)
    assert resumed.current_epoch == whole.current_epoch


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*your dataloader is not resumable")
@pytest.mark.fault
def test_a_training_that_goes_on_does_not_save_part_of_a_step(folder: str, tmp_path: Path) -> None:
    """Two batches a step, saved every two steps; left after two steps, and again after a batch: to the last bit."""

    def begin(root: Path, *callbacks: Callback) -> Trainer:
        own = [LastCheckpoint(2), *callbacks, ExponentialMovingAverage(0.5)]
        options = {"enable_checkpointing": True, "plugins": [SafeCheckpointIO()], "accumulate_grad_batches": 2}
        return trainer(root, STEPS, callbacks=own, **options)

    whole = begin(tmp_path / "whole")
    whole.fit(module(folder), data(4))
    for batches in (5, 1):
        with pytest.raises(RuntimeError, match="killed"):
            begin(tmp_path / "left", Killed(batches)).fit(
                module(folder), data(4), ckpt_path="last" if batches == 1 else None, weights_only=True
            )
        (last,) = (tmp_path / "left").rglob("last.ckpt")
        assert torch.load(last, weights_only=True)["RestorationDataModule"] == {"samples": 16}
    resumed = begin(tmp_path / "left")
    resumed.fit(module(folder), data(4), ckpt_path="last", weights_only=True)
    same_end(whole, resumed, tmp_path)


@pytest.mark.fault
def test_without_checkpoints_it_just_leaves(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = [Preemption(), Scheduler(1, signal.SIGTERM)]
    lone = trainer(tmp_path, STEPS, enable_checkpointing=True, callbacks=callbacks)
    with pytest.raises(SystemExit) as leaving:
        lone.fit(module(folder), data(4))
    assert leaving.value.code == RESUMABLE
    assert "nothing is saved without ModelCheckpoint" in " ".join(capsys.readouterr().out.split())
