"""TensorBoard logs that do not end with a full disk: what has no room waits in memory until there is some."""

import os
import socket
import time
import warnings
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter
from typing_extensions import override

WAITING = 2**24
"""Bytes of events that wait for room; those after them are lost."""
_number = count()


class EventFile:
    """An event file that outlives errors; tensorboard's own `EventFileWriter` raises its first one for ever after.

    Events are written by `flush`, all or none, so that the file is whole at any moment. Those that cannot be written
    wait, with a warning, for the next time; of what waits in the end, or is too much to wait, the loss is said.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_number)}"
        self.path = folder / name
        self._file = self.path.open("xb", buffering=0)
        self._size = 0
        self._waiting = bytearray()
        self._has_failed = self._has_lost = False
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, record: bytes) -> None:
        """Takes a record for `flush`; for tensorboard's `RecordWriter`."""
        if len(self._waiting) >= WAITING:
            self.flush()
        if len(self._waiting) < WAITING:
            self._waiting += record
        elif not self._has_lost:
            self._has_lost = True
            self._warn(f"{WAITING} bytes of the logs wait in memory, and those after them are lost")

    def add_event(self, event: Event) -> None:
        """Takes an event for `flush`."""
        RecordWriter(self).write(event.SerializeToString())

    def flush(self) -> None:
        """Writes what waits."""
        done = 0
        try:
            if self._has_failed:  # a handle may be stale
                self._file = self.path.open("r+b", buffering=0)
            self._file.seek(self._size)
            while done < len(self._waiting):
                done += self._file.write(self._waiting[done:])
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            with suppress(OSError):
                self._file.close()
            if not self._has_failed:
                self._warn(f"{error.strerror}: the logs wait in memory until it can be written; training goes on")
            self._has_failed = True
            return
        self._has_failed = self._has_lost = False
        self._size += done
        self._waiting.clear()

    def close(self) -> None:
        """Writes what waits and closes the file."""
        self.flush()
        if self._has_failed:
            self._warn("the logs that waited in memory are lost")
        with suppress(OSError):
            self._file.close()

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.path}: {text}", RuntimeWarning, stacklevel=3)

    def get_logdir(self) -> str:
        """Its folder."""
        return str(self.path.parent)


class RunLogger(TensorBoardLogger):
    """Lightning's logger for TensorBoard with such a file; hyperparameters are in the run's `config.yaml`."""

    @property
    @rank_zero_experiment
    @override
    def experiment(self) -> SummaryWriter:
        if self._experiment is None:
            self._experiment = _Summaries(self.log_dir)
        return self._experiment

    @rank_zero_only
    @override
    def save(self) -> None:
        self.experiment.flush()


class _Summaries(SummaryWriter):
    file_writer: Any
    all_writers: Any

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self.file_writer = _Writer(self.log_dir)
            self.all_writers = {self.log_dir: self.file_writer}
        return cast(FileWriter, self.file_writer)


class _Writer(FileWriter):
    def __init__(self, log_dir: str) -> None:
        self.event_writer = EventFile(Path(log_dir))
