"""The progress bar of the study: jobs done, and the time left by the mean pace of those finished."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich import get_console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text


@dataclass(frozen=True)
class Job:
    """One thing to do.

    Attributes:
        title: shown while it is done.
        seconds: that it is expected to take; jobs are compared by it.
        work: does it, and may add a bar of its own.
    """

    title: str
    seconds: float
    work: Callable[[Progress], None]


class TimeLeft(ProgressColumn):
    """Counts down to the time at which a task with the field `due`, on the clock of `time.monotonic`, is to be done."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds."""
        left = max(0, round(task.fields["due"] - time.monotonic())) if "due" in task.fields else None
        return Text("" if left is None else f"{timedelta(seconds=left)} left", style="progress.remaining")


def carry_out(jobs: Sequence[Job], done: int = 0, pace: float = 1.0) -> None:
    """Does one job after the other.

    Args:
        jobs: what is left to do.
        done: jobs that were done before.
        pace: seconds that one expected second takes, until a job is finished.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeLeft(), console=get_console()) as bar:
        whole = bar.add_task("", total=done + len(jobs), completed=done)
        start = time.monotonic()
        for number, job in enumerate(jobs):
            left = sum(own.seconds for own in jobs[number:])
            bar.update(whole, description=job.title, due=time.monotonic() + pace * left)
            job.work(bar)
            bar.advance(whole)
            finished = sum(own.seconds for own in jobs[: number + 1])
            pace = (time.monotonic() - start) / finished if finished else pace
        bar.update(whole, description="done", due=time.monotonic())
