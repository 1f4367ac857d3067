"""Several processes share pictures out, each taken once, and say what ended them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from defusion.evaluation.processes import WorkerError, share_out
from defusion.ledger import Row


def work(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    for number in numbers:
        keep({"name": str(number), "rank": rank})


def fail(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    keep({"name": str(numbers[0]), "rank": rank})
    raise ValueError(f"picture {numbers[-1]} is damaged")


def die(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    raise SystemExit(3)


def test_each_number_is_taken_once() -> None:
    rows: list[Row] = []
    share_out(work, [3, 5, 8, 9, 11], 2, rows.append)
    assert sorted(int(row["name"]) for row in rows) == [3, 5, 8, 9, 11]
    assert {row["name"] for row in rows if row["rank"] == 1} == {"5", "9"}


def test_an_error_ends_it_and_what_was_done_is_kept() -> None:
    rows: list[Row] = []
    with pytest.raises(WorkerError, match="picture 7 is damaged"):
        share_out(fail, [7], 2, rows.append)
    assert [row["name"] for row in rows] == ["7"]


def test_a_process_that_dies_is_no_endless_wait() -> None:
    with pytest.raises(WorkerError, match="ended"):
        share_out(die, [1, 2], 2, lambda row: None)


@pytest.mark.slow
def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "sleepy.py").write_text(
        "import os, pathlib, time\n"
        "def work(rank, numbers, keep):\n"
        "    pathlib.Path(f'{rank}.pid').write_text(str(os.getpid()))\n"
        "    time.sleep(200)\n"
    )
    code = (
        "import sleepy; from defusion.evaluation.processes import share_out; share_out(sleepy.work, [1, 2], 2, print)"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
    deadline = time.monotonic() + 100
    while len(pids := [file.read_text() for file in tmp_path.glob("*.pid")]) < 2 or not all(pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
