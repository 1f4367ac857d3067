"""What ends a training from outside is said in one line, with what to do."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from data_modules.restoration import RestorationDataModule
from defusion.tokenizer.network import Tokenizer
from defusion.training import explained
from tests.diffusion.test_module import data, module, trainer

STEPS = 40


class AfterTwo(Callback):
    """Does something to the world after two steps."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == 2:
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
        trainer(Path(folder), STEPS, callbacks=[AfterTwo(act)]).fit(module(folder), source)
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


def test_faults_of_ours_are_seen_whole() -> None:
    assert explained(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert explained(ValueError("Caught in the act, but elsewhere")) is None
    assert explained(ConnectionResetError("of a hub")) is None
