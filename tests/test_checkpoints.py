"""Checkpoints: whole or not there, checked, and never without one before."""

import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from defusion import checkpoints
from defusion.checkpoints import BEFORE, DAMAGED, CheckpointError, SafeCheckpointIO
from defusion.files import replacing
from defusion.training import explained
from tests.room import room

IO = SafeCheckpointIO()


def save(file: Path, *values: float) -> None:
    for value in values:
        IO.save_checkpoint({"state_dict": {"w": torch.full((100,), value)}, "step": int(value)}, file)


def loaded(file: Path) -> int:
    return int(IO.load_checkpoint(file)["step"])


def test_what_is_saved_is_loaded_and_the_one_before_is_kept(tmp_path: Path) -> None:
    save(tmp_path / "last.ckpt", 1, 2, 3)
    assert loaded(tmp_path / "last.ckpt") == 3
    assert loaded(tmp_path / f"last.ckpt{BEFORE}") == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
@pytest.mark.fault
def test_a_damaged_one_gives_the_one_before(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "last.ckpt"
    save(file, 1, 2)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes({"cut": bytes(content[:-50]), "flipped": bytes(content), "empty": b""}[damage])
    with pytest.warns(RuntimeWarning, match=r"last\.ckpt: .*; the one before it is taken"):
        assert loaded(file) == 1
    save(file, 3)
    assert loaded(file) == 3
    assert loaded(tmp_path / f"last.ckpt{BEFORE}") == 1, "the damaged one has not taken its place"
    file.write_bytes((tmp_path / f"last.ckpt{DAMAGED}").read_bytes())
    (tmp_path / f"last.ckpt{BEFORE}").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint can be read; give another by --ckpt_path") as caught:
        loaded(file)
    assert explained(caught.value) == str(caught.value)


@pytest.mark.fault
def test_one_that_is_gone_gives_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    save(file, 1, 2)
    file.unlink()
    with pytest.warns(RuntimeWarning, match=r"last\.ckpt: no such file; the one before it is taken"):
        assert loaded(file) == 1


@pytest.mark.fault
def test_without_one_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt: no such checkpoint"):
        loaded(tmp_path / "none.ckpt")


@pytest.mark.fault
def test_checkpoints_of_others_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    with (tmp_path / "evil.ckpt").open("wb") as file:
        pickle.dump({"state_dict": Evil()}, file)
    torch.save({"state_dict": Evil()}, tmp_path / "zipped.ckpt")
    for name in ("evil.ckpt", "zipped.ckpt"):
        with pytest.raises(CheckpointError):
            loaded(tmp_path / name)
    assert not (tmp_path / "owned").exists()


@contextmanager
def full_device() -> Iterator[None]:
    """All is written to the device that is always full."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints, "replacing", lambda path: nullcontext(Path("/dev/full")))
        yield


@pytest.mark.parametrize("full", [partial(room, 300), full_device])
@pytest.mark.parametrize("sizes", [[10], [100_000], [2_000_000], [1000] * 100])
@pytest.mark.fault
def test_a_full_disk_leaves_the_last_one(
    tmp_path: Path, full: Callable[[], AbstractContextManager[None]], sizes: list[int]
) -> None:
    file = tmp_path / "last.ckpt"
    save(file, 1)
    large = {"state_dict": {str(place): torch.zeros(size) for place, size in enumerate(sizes)}, "step": 2}
    with full(), pytest.warns(RuntimeWarning, match="this checkpoint is not written, the last one stays"):
        IO.save_checkpoint(large, file)
    assert loaded(file) == 1
    assert len(list(tmp_path.iterdir())) == 1
    save(file, 3)
    assert loaded(file) == 3


@pytest.mark.fault
def test_what_killed_processes_left_behind_is_removed(tmp_path: Path) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    with replacing(tmp_path / "last.ckpt") as partial:
        partial.touch()
        host = partial.name.split(".")[-3]
    (tmp_path / "last.ckpt").unlink()
    left, *others = (
        f".{name}.partial"
        for name in (
            f"last.ckpt.{host}.{done.pid}",
            f"last.ckpt.{host}.1",
            f"a.ckpt.{host}.{done.pid}",
            f"last.ckpt.0{host}.{done.pid}",
        )
    )
    for name in (left, *others):
        (tmp_path / name).touch()
    save(tmp_path / "last.ckpt", 1)
    assert {own.name for own in tmp_path.iterdir()} == {"last.ckpt", *others}, "of processes that run, of other hosts"


@pytest.mark.filterwarnings("ignore:.*the one before it is taken")
@pytest.mark.fault
def test_a_process_killed_at_any_moment_leaves_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at each of its calls to the file system in turn, until it gets through."""
    file = tmp_path / "last.ckpt"
    save(file, 1, 2)
    for allowed in range(8):
        with monkeypatch.context() as patched:
            left = iter(range(allowed))
            for name in ("fsync", "link", "replace", "unlink"):
                patched.setattr(os, name, _killed_when_out_of(left, getattr(os, name)))
            try:
                save(file, 10 + allowed)
                killed = False
            except KeyboardInterrupt:
                killed = True
        assert file.exists()
        assert loaded(file) >= 2
        if not killed:
            assert loaded(file) == 10 + allowed
            return
    pytest.fail("never got through")


def _killed_when_out_of(left: Iterator[int], call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return call(*arguments, **named)

    return counted
