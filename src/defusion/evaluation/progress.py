"""The progress bar of an evaluation: pictures done, pictures a second, the mean PSNR so far, the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from defusion.ledger import Ledger, Row


@contextmanager
def watched(title: str, total: int, ledger: Ledger) -> Iterator[Callable[[Row], None]]:
    """Shows a bar while the block runs; gives what is to be called with each picture's record, which it keeps.

    Args:
        title: of the test set.
        total: pictures of the whole test set; those in the ledger already count as done.
        ledger: where records are kept.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[psnr]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=get_console()) as bar:
        task = bar.add_task(title, total=total, completed=len(ledger.rows), speed="", psnr="")
        shown = bar.tasks[0]

        total_psnr = sum(own["restored"]["psnr"] for own in ledger.rows.values())

        def keep(row: Row) -> None:
            nonlocal total_psnr
            ledger.add(row)
            total_psnr += row["restored"]["psnr"]
            mean = total_psnr / len(ledger.rows)
            speed = f"{shown.speed:.2f} images/s" if shown.speed else ""
            bar.update(task, advance=1, speed=speed, psnr=f"{mean:.2f} dB")

        yield keep
