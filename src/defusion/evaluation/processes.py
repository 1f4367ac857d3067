"""One evaluation over several processes: each picture restored by one of them, its scores kept by the parent."""

import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from queue import Empty
from threading import Thread
from typing import Any

import torch
import torch.multiprocessing as multiprocessing

from defusion.ledger import Row

Work = Callable[[int, Sequence[int], Callable[[Row], None]], None]
"""(rank, numbers of its pictures, what to call with each record) -> nothing; picklable, to be sent."""

_PATIENCE = 1.0
"""Seconds between looks at whether the processes are alive."""


class WorkerError(ValueError):
    """What ended a process, in its own words."""


def share_out(work: Work, numbers: Sequence[int], processes: int, keep: Callable[[Row], None]) -> None:
    """Runs `work` in fresh processes, process r on every processes-th number from r on, and keeps their records.

    Raises:
        WorkerError: a process ended in an error; what was kept until then stays kept.
    """
    context = multiprocessing.get_context("spawn")
    messages: Any = context.Queue()
    processes = min(processes, len(numbers))
    threads = max(1, torch.get_num_threads() // processes)
    workers = [
        context.Process(target=_run, args=(work, rank, numbers[rank::processes], threads, messages), daemon=True)
        for rank in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        _gather(messages, workers, keep)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _gather(messages: Any, workers: Sequence[Any], keep: Callable[[Row], None]) -> None:
    """Keeps records until every process has said that it is done."""
    done = 0
    while done < len(workers):
        try:
            kind, content = messages.get(timeout=_PATIENCE)
        except Empty:
            codes = [worker.exitcode for worker in workers if worker.exitcode]
            if codes:
                raise WorkerError(
                    f"a process of the evaluation ended with code {codes[0]}; what it did is kept"
                ) from None
            continue
        if kind == "row":
            keep(content)
        elif kind == "error":
            raise WorkerError(content)
        else:
            done += 1


def _run(work: Work, rank: int, numbers: Sequence[int], threads: int, messages: Any) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        work(rank, numbers, lambda row: messages.put(("row", row)))
        messages.put(("done", None))
    except Exception as error:  # of any kind: the parent says it, not a traceback in the middle of a bar
        messages.put(("error", str(error) or type(error).__name__))


def _end_with_parent() -> None:
    """A process whose parent was killed has nobody to restore for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
