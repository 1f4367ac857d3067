"""Event files of TensorBoard: whole at any moment, and nothing lost while there is no room."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from defusion import logs
from defusion.logs import EventFile, RunLogger
from tests.room import room


def log(logger: RunLogger, *steps: int) -> None:
    for step in steps:
        logger.log_metrics({"loss": float(step)}, step)
        logger.save()


def read(folder: Path) -> list[int]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [own.step for own in events.Scalars("loss")]


def test_scalars_and_pictures_are_read_by_tensorboard(tmp_path: Path) -> None:
    logger = RunLogger(tmp_path, name="", version="")
    log(logger, 1, 2)
    logger.experiment.add_image("picture", torch.zeros(3, 8, 8), 2)
    logger.finalize("success")
    assert read(tmp_path) == [1, 2]
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [own.step for own in events.Images("picture")] == [2]


@pytest.mark.fault
@pytest.mark.parametrize("size", range(0, 260, 20))
def test_what_has_no_room_waits(tmp_path: Path, size: int) -> None:
    """Wherever in a record the disk ends; what is on it can be read at any moment."""
    logger = RunLogger(tmp_path, name="", version="")
    with room(size), pytest.warns(RuntimeWarning, match=r"tfevents\..*: the logs wait in memory until"):
        log(logger, *range(8))
    (file,) = tmp_path.glob("*tfevents*")
    assert file.stat().st_size <= size
    if file.stat().st_size > 100:
        kept = read(tmp_path)
        assert kept == list(range(len(kept)))
    log(logger, 8)
    logger.finalize("success")
    assert read(tmp_path) == list(range(9))


@pytest.mark.fault
def test_what_waits_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "WAITING", 500)
    logger = RunLogger(tmp_path, name="", version="")
    log(logger, 0)
    with room(100), pytest.warns(RuntimeWarning) as said:
        log(logger, *range(1, 100))
    assert len(said) == 2
    assert "500 bytes of the logs wait in memory, and those after them are lost" in str(said[1].message)
    log(logger, 100)
    logger.finalize("success")
    found = read(tmp_path)
    assert found[:5] == list(range(5))
    assert len(found) < 20
    assert found[-1] == 100


@pytest.mark.fault
def test_what_waits_in_the_end_is_said_to_be_lost(tmp_path: Path) -> None:
    logger = RunLogger(tmp_path, name="", version="")
    log(logger, 0)
    with room(100):
        with pytest.warns(RuntimeWarning, match="wait in memory"):
            log(logger, 1, 2, 3)
        with pytest.warns(RuntimeWarning, match="the logs that waited in memory are lost"):
            logger.finalize("success")
    assert read(tmp_path) == [0]


@pytest.mark.fault
def test_a_record_that_is_broken_off_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an interruption between half a record and the rest."""
    events = EventFile(tmp_path)
    events.add_event(Event(step=1))
    events.flush()
    events.add_event(Event(step=2))

    class Interrupted:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, content: bytes) -> int:
            self.file.write(content[:7])
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    with monkeypatch.context() as patched:
        patched.setattr(events, "_file", Interrupted(events._file))
        with pytest.raises(KeyboardInterrupt):
            events.flush()
    events.close()
    assert [own.step for own in EventFileLoader(str(events.path)).Load()] == [0, 1, 2]
