"""What ends a training from outside is said in one line, with what to do."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_modules.restoration import RestorationDataModule
from defusion.checkpoints import SafeCheckpointIO, read_checked
from defusion.logs import RunLogger
from defusion.tokenizer.network import Tokenizer
from defusion.training import explained
from tests.diffusion.test_module import data, module, trainer
from tests.room import room

STEPS = 40


class AfterSteps(Callback):
    """Does something to the world after some steps."""

    def __init__(self, steps: int, act: Any) -> None:
        self.steps, self.act = steps, act

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == self.steps:
            self.act()


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> str:
    tokenizer.save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(400):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 20, 3), number % 256, np.uint8)).save(path)
    return tmp_path / "photos"


def stopped(folder: str, source: RestorationDataModule, act: Any) -> str | None:
    source.workers = 1
    with pytest.raises((EOFError, OSError, RuntimeError, ValueError)) as caught:
        trainer(Path(folder), STEPS, callbacks=[AfterSteps(2, act)]).fit(module(folder), source)
    return explained(caught.value)


def kill_workers() -> None:
    for worker in multiprocessing.active_children():
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what the dead worker had open
@pytest.mark.fault
def test_a_data_worker_that_is_killed(folder: str) -> None:
    line = stopped(folder, data(STEPS), kill_workers)
    assert line is not None
    assert line.startswith("DataLoader worker")  # the words of torch that follow depend on when it noticed
    assert "give fewer --data.workers, then go on with --ckpt_path last" in line


@pytest.mark.fault
def test_photographs_that_vanish(folder: str, photos: Path) -> None:
    source = data(STEPS)
    source.data = str(photos)
    line = stopped(folder, source, lambda: shutil.rmtree(photos))
    assert line is not None
    assert line.startswith(str(photos))
    assert "photos: was there when the data set was opened, and is gone: put it back" in line
    assert "\n" not in line


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.fault
def test_a_full_disk_ends_nothing(folder: str, tmp_path: Path) -> None:
    """Full after two steps, with room again after six: training goes on, and in the end all is there."""
    full = ExitStack()
    saving = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=1, enable_version_counter=False)
    callbacks = [saving, AfterSteps(2, lambda: full.enter_context(room(100))), AfterSteps(6, full.close)]
    logger = RunLogger(tmp_path, name="", version="")
    options = {"logger": logger, "log_every_n_steps": 1, "enable_checkpointing": True, "plugins": [SafeCheckpointIO()]}
    with full, pytest.warns(RuntimeWarning) as said:
        trainer(tmp_path, 8, callbacks=callbacks, **options).fit(module(folder), data(8))
    lines = [str(own.message) for own in said]
    assert sum("the logs wait in memory until it can be written" in line for line in lines) == 1
    assert sum("last.ckpt: the disk is full" in line for line in lines) == 4
    assert read_checked(tmp_path / "last.ckpt")["global_step"] == 8
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [own.step for own in events.Scalars("train/loss")] == list(range(8))


@pytest.mark.fault
def test_a_disk_that_is_full_in_the_end_is_one_line(folder: str, tmp_path: Path) -> None:
    with room(100), pytest.raises(OSError, match="too large") as caught:
        module(folder).save_weights(tmp_path / "weights")
    line = explained(caught.value)
    assert line is not None
    assert f"{tmp_path}/weights/" in line
    assert line.endswith("free some space, then go on with --ckpt_path last")
    assert not [own for own in (tmp_path / "weights").rglob("*") if own.is_file()]


@pytest.mark.fault
def test_a_process_with_data_workers_ends_after_an_error() -> None:
    """They do not listen to the SIGTERM that Python ends them by."""
    script = """
        from torch.utils.data import DataLoader
        from defusion.preemption import leave_signals_to_the_parent

        options = {"num_workers": 2, "persistent_workers": True, "worker_init_fn": leave_signals_to_the_parent}
        batches = iter(DataLoader(list(range(100)), **options))
        next(batches)
        raise ValueError("an error")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: an error")


def test_what_lightning_refuses_is_one_line() -> None:
    assert (
        explained(MisconfigurationException("No supported gpu\n   backend found!")) == "No supported gpu backend found!"
    )


def test_faults_of_ours_are_seen_whole() -> None:
    assert explained(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert explained(ValueError("Caught in the act, but elsewhere")) is None
    assert explained(ConnectionResetError("of a hub")) is None
