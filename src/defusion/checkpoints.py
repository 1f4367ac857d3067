"""Checkpoints that are whole or not there: written aside, checked when read, the one before kept."""

import errno
import os
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from typing_extensions import override

from defusion.files import replacing

BEFORE = ".before"
"""Behind the name of the checkpoint that was there before the last one."""


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
        try:
            with replacing(file) as partial:
                torch.save(checkpoint, partial)
                _synchronise(partial)
                if file.exists():
                    _keep(file)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
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
        candidates = [own for own in (file, _before(file)) if own.exists()]
        if not candidates:
            raise FileNotFoundError(f"{file}: no such checkpoint")
        reasons = []
        for own in candidates:
            try:
                _check(own)
                found: dict[str, Any] = super().load_checkpoint(str(own), map_location, weights_only=True)
            except Exception as error:  # of the many that damaged files raise
                lines = str(error).strip().splitlines()
                reasons.append(f"{own}: {lines[0] if lines else type(error).__name__}")
                continue
            if own != file:
                warnings.warn(f"{reasons[0]}; the one before it is taken", RuntimeWarning, stacklevel=2)
            return found
        raise CheckpointError(
            f"{'; '.join(reasons)}: no checkpoint can be read; give another by --ckpt_path, or begin anew without it"
        )


def _check(file: Path) -> None:
    """Reads every record against its checksum, which `torch.load` does not."""
    with zipfile.ZipFile(file) as records:
        damaged = records.testzip()
    if damaged is not None:
        raise CheckpointError(f"damaged at {damaged}")


def _before(file: Path) -> Path:
    return file.with_name(f"{file.name}{BEFORE}")


def _keep(file: Path) -> None:
    """Gives the file its second name; the first is never missing."""
    _before(file).unlink(missing_ok=True)
    try:
        os.link(file, _before(file))
    except OSError:  # a file system without hard links
        shutil.copyfile(file, _before(file))


def _synchronise(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
