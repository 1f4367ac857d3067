"""Checkpoints that are whole or not there: written aside, checked when read, the one before kept."""

import os
import shutil
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from typing_extensions import override

from defusion.files import full_disk, remove_leftovers, replacing, sync_folder

BEFORE, DAMAGED = ".before", ".damaged"
"""Behind the name of the checkpoint that was there before the last one, and of one that cannot be read."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, and none before it that can; says the file and what to do."""


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under another name, then renames it; the one before stays beside it.

    A process that is killed at any moment leaves a checkpoint that can be read. A full disk leaves the last one as it
    is, with a warning: training goes on and tries again at the next. Reading checks the CRC-32 that `torch.save` keeps
    of every tensor, falls back on the one before when a file is damaged, and unpickles nothing but tensors and plain
    values.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes it whole or not at all."""
        file = Path(path)
        remove_leftovers(file)
        try:
            with replacing(file) as partial:
                with partial.open("wb") as content:  # torch's own writer keeps to itself why it could not write
                    torch.save(checkpoint, content)
                    content.flush()
                    os.fsync(content.fileno())
                if file.exists():
                    _keep(file)
            sync_folder(file.parent)
        except (OSError, RuntimeError) as error:
            if full_disk(error, hidden=True) is None:
                raise
            warnings.warn(
                f"{file}: the disk is full: this checkpoint is not written, the last one stays; free some space",
                RuntimeWarning,
                stacklevel=2,
            )

    @override
    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads it, or the one before it when it is damaged.

        Raises:
            FileNotFoundError: when there is none.
            CheckpointError: when neither can be read.
        """
        file = Path(path)
        if not any(own.exists() for own in candidates(file)):
            raise FileNotFoundError(f"{file}: no such checkpoint")
        reasons = []
        for own in candidates(file):
            try:
                found = read_checked(own, map_location)
            except CheckpointError as error:
                reasons.append(str(error))
                continue
            if own != file:
                _set_aside(file)
                warnings.warn(f"{reasons[0]}; the one before it is taken", RuntimeWarning, stacklevel=2)
            return found
        raise CheckpointError(
            f"{'; '.join(reasons)}: no checkpoint can be read; give another by --ckpt_path, or begin anew without it"
        )


class LastCheckpoint(ModelCheckpoint):
    """Lightning's, for `last.ckpt` alone: every so many steps, and at the end of each epoch and of the training.

    Lightning's own does not know at which step it was begun: with accumulation it saves once more after part of the
    next one.

    Args:
        every_n_train_steps: how often it is written.
    """

    def __init__(self, every_n_train_steps: int) -> None:
        super().__init__(
            save_last=True, save_top_k=0, every_n_train_steps=every_n_train_steps, enable_version_counter=False
        )

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._last_global_step_saved = trainer.global_step

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It is saved, before averages took the place of the weights."""


def candidates(file: Path) -> tuple[Path, Path]:
    """A checkpoint and the one before it, whether they are there or not."""
    return file, _before(file)


def read_checked(file: Path, map_location: Any | None = None) -> dict[str, Any]:
    """Reads one checkpoint, every record against its checksum, which `torch.load` alone does not.

    Raises:
        CheckpointError: when it is not there, damaged, or holds more than tensors and plain values.
    """
    try:
        with zipfile.ZipFile(file) as records:
            damaged = records.testzip()
        if damaged is not None:
            raise CheckpointError(f"damaged at {damaged}")
        found: dict[str, Any] = torch.load(file, map_location=map_location, weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: no such file") from error
    except Exception as error:  # of the many that damaged files raise
        lines = str(error).strip().splitlines()
        raise CheckpointError(f"{file}: {lines[0] if lines else type(error).__name__}") from error
    return found


def _before(file: Path) -> Path:
    return file.with_name(f"{file.name}{BEFORE}")


def _set_aside(file: Path) -> None:
    """Renames a damaged file, or the next save would put it in the place of the one before, which is whole."""
    with suppress(OSError):  # it is gone, or another process was faster
        file.rename(file.with_name(f"{file.name}{DAMAGED}"))


def _keep(file: Path) -> None:
    """Gives the file its second name; the first is never missing."""
    _before(file).unlink(missing_ok=True)
    try:
        os.link(file, _before(file))
    except OSError:  # a file system without hard links
        shutil.copyfile(file, _before(file))
