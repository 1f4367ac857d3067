"""Many picture files restored one by one; what is done stays done, and what fails stops nothing else."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from rich import box, get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from defusion.instruction import VisualInstruction
from defusion.ledger import Ledger
from defusion.restore.pictures import as_batch
from defusion.restore.places import Place
from defusion.restore.restoration import Restoration
from defusion.restore.restorer import Instruction, Restorer
from defusion.restore.stored import QUALITY, read_stored, write_stored
from defusion.restore.strength import Strength
from defusion.restore.tiling import Group, Watch
from defusion.sheets import Cell

LEDGER = ".defusion.jsonl"
"""In the output folder: what was restored there, from what and how."""

State: TypeAlias = Literal["restored", "done before", "failed"]

_MOST_ROWS = 40
_MOST_CELLS = 24


@dataclass(frozen=True)
class How:
    """How pictures are restored; see `Restorer.__call__`."""

    instruction: Instruction
    strength: Strength = 1.0
    steps: int = 1
    seed: int = 0
    tile: int | None = None
    quality: int = QUALITY

    def identity(self) -> dict[str, Any]:
        """As JSON values: another one for what may give other pictures."""
        shown = self.instruction
        if isinstance(shown, VisualInstruction):
            digest = hashlib.sha256()
            for chart in (shown.ground, shown.picture):
                digest.update(chart.contiguous().numpy().tobytes())
            told = f"{shown.shown} {digest.hexdigest()}"
        else:
            told = str(shown)
        strength = dict(self.strength) if isinstance(self.strength, Mapping) else self.strength
        return {
            "instruction": told,
            "strength": strength,
            "steps": self.steps,
            "seed": self.seed,
            "tile": self.tile,
            "quality": self.quality,
        }


@dataclass(frozen=True)
class Result:
    """What became of one picture."""

    place: Place
    state: State
    note: str = ""
    """Why it failed, or what was shown."""
    size: str = ""
    seconds: float = 0.0


@dataclass
class Results:
    """What became of all of them, in their order, and the first pictures before and after."""

    rows: list[Result] = field(default_factory=list)
    cells: list[tuple[Cell, Cell]] = field(default_factory=list)

    @property
    def failed(self) -> list[Result]:
        """Those that failed."""
        return [row for row in self.rows if row.state == "failed"]

    def table(self) -> Table:
        """A row a picture; of many, the failures alone."""
        counts = {
            state: sum(row.state == state for row in self.rows) for state in ("restored", "done before", "failed")
        }
        caption = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
        for head in ("picture", "size", "s", "", "shown, or what is wrong"):
            table.add_column(head, justify="right" if head in ("size", "s") else "left", overflow="fold")
        for row in self.rows if len(self.rows) <= _MOST_ROWS else self.failed:
            seconds = f"{row.seconds:.1f}" if row.seconds else ""
            table.add_row(row.place.name, row.size, seconds, row.state, row.note)
        return table


def restore_files(
    restorer: Restorer, places: Sequence[Place], out: Path, how: How, weights: str, overwrite: bool = False
) -> Results:
    """Restores files into a folder, each written whole or not at all.

    What was restored there before from the same file in the same way is left as it is. Another file of the name
    of a result is not overwritten unless that is asked for.

    Args:
        restorer: the model.
        places: the files, and the names of the results.
        out: where results go; a ledger in it remembers how they came about.
        how: how they are restored.
        weights: names the model in the ledger.
        overwrite: replace what is there.
    """
    results = Results()
    ledger = Ledger(out / LEDGER, {"weights": weights} | how.identity())
    with _progress() as progress:
        bar = progress.add_task("restoring", total=len(places))
        for place in places:
            start = time.perf_counter()
            try:
                result = _restore(restorer, place, out, how, ledger, overwrite, results, _tiles(progress))
            except Exception as error:  # whatever one picture does, the others are restored
                result = Result(place, "failed", _line(error))
            seconds = time.perf_counter() - start if result.state == "restored" else 0.0
            results.rows.append(Result(result.place, result.state, result.note, result.size, seconds))
            progress.advance(bar)
    return results


def _restore(
    restorer: Restorer,
    place: Place,
    out: Path,
    how: How,
    ledger: Ledger,
    overwrite: bool,
    results: Results,
    watch: Watch,
) -> Result:
    target, about = out / place.name, place.source.stat()
    stamp = {"name": place.name, "source": str(place.source), "bytes": about.st_size, "changed": about.st_mtime_ns}
    if target.exists() and not overwrite:
        if ledger.rows.get(place.name) == stamp:
            return Result(place, "done before")
        raise FileExistsError(f"{target} is there already; --overwrite replaces it, or give another --out")
    if target.exists() and target.resolve() == place.source:
        raise FileExistsError(f"{target} is the picture itself; give another --out")
    stored = read_stored(place.source)
    lq, _ = as_batch(stored.samples, str(place.source))
    restoration = restorer(
        lq[0], how.instruction, strength=how.strength, steps=how.steps, seed=how.seed, tile=how.tile, watch=watch
    )
    write_stored(target, restoration.image, stored, how.quality)
    ledger.add(stamp)
    if len(results.cells) < _MOST_CELLS:
        results.cells.append(_cells(place.name, restoration))
    return Result(place, "restored", restoration.instruction[0].shown, f"{lq.shape[3]} x {lq.shape[2]}")


def _cells(name: str, restoration: Restoration) -> tuple[Cell, Cell]:
    """The middle of a picture before and after, no more of it in memory than that."""
    size = 256
    top, left = (max(0, (side - size) // 2) for side in restoration.lq.shape[1:])
    parts = (own[:, top : top + size, left : left + size].clone() for own in (restoration.lq, restoration.image))
    before, after = parts
    return Cell(before, Path(name).name[-36:]), Cell(after, restoration.instruction[0].shown[:36])


def _line(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "not enough memory: give a smaller --tile"
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=get_console())


def _tiles(progress: Progress) -> Watch:
    """A bar of the tiles of a large picture, below that of the pictures."""

    def watch(tiles: list[Group]) -> Iterable[Group]:
        if len(tiles) < 2:
            yield from tiles
            return
        own = progress.add_task("  tiles", total=len(tiles))
        try:
            for tile in tiles:
                yield tile
                progress.advance(own)
        finally:
            progress.remove_task(own)

    return watch
