"""Many picture files restored one by one; what is done stays done, and what fails stops nothing else."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from rich import box, get_console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from defusion.describer.description import Description
from defusion.imageio import SUFFIXES
from defusion.instruction import VisualInstruction
from defusion.ledger import Ledger, Row
from defusion.restore.pictures import as_batch
from defusion.restore.places import Found, Place
from defusion.restore.restoration import Restoration
from defusion.restore.restorer import Instruction, Restorer
from defusion.restore.stored import QUALITY, read_stored, write_stored
from defusion.restore.strength import Strength
from defusion.restore.tiling import Group, Watch
from defusion.sheets import Cell

LEDGER = ".defusion.jsonl"
"""In the output folder: what was restored there, from what and how."""
GRID = "_grid.png"
"""Behind the name of a picture: its grid of strengths and steps."""
SHEET = "contact_sheet.png"
"""There, too: pictures before and after."""

State: TypeAlias = Literal["restored", "done before", "failed"]

_HOLDS = {"holds": "restorations"}
_MOST_ROWS = 40
_MOST_CELLS = 24
_CLOCK = 2_000_000_000
"""By how many nanoseconds the clock of a file system may be behind, or how coarse it may be."""
_NO_MEMORY = "can't allocate memory"
"""What PyTorch says on a CPU."""


@dataclass(frozen=True)
class How:
    """How pictures are restored; see `Restorer.__call__`."""

    instruction: Instruction
    strength: Strength = 1.0
    steps: int = 1
    seed: int = 0
    tile: int | None = None
    quality: int = QUALITY

    def told(self, shown: VisualInstruction) -> str:
        """In words, what a picture was restored by: severities and strengths where there are some."""
        if isinstance(shown, Description):
            words = shown.words
        else:
            words = self.instruction if isinstance(self.instruction, str) else shown.shown
        if isinstance(self.strength, Mapping):
            return f"{words}; strength {', '.join(f'{name} {own:g}' for name, own in self.strength.items())}"
        return words if self.strength == 1 else f"{words}; strength {self.strength:g}"

    def digest(self, weights: str) -> str:
        """Another one for what may give other pictures, by the model of this name."""
        shown = self.instruction
        told = str(shown)
        if isinstance(shown, VisualInstruction):
            charts = (chart.contiguous().numpy().tobytes() for chart in (shown.ground, shown.picture))
            told = f"{shown.shown} {hashlib.sha256(b''.join(charts)).hexdigest()}"
        strength = sorted(self.strength.items()) if isinstance(self.strength, Mapping) else self.strength
        values = [weights, told, strength, self.steps, self.seed, self.tile, self.quality]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result:
    """What became of one picture."""

    source: str
    name: str
    """Of the result below the output folder; "" where there is none."""
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
            name = row.source if row.state == "failed" else row.name
            table.add_row(escape(name), row.size, seconds, row.state, escape(row.note))
        return table


class Batch:
    """Restores files into a folder, each written whole or not at all.

    What was restored there before from the same file in the same way is left as it is. Another file of the name of a
    result is not overwritten unless that is asked for. A ledger in the folder remembers how each result came about.

    Args:
        restorer: the model.
        out: where results go.
        how: how they are restored.
        weights: names the model in the ledger.
        overwrite: replace what is there and did not come about in this way.

    Raises:
        ValueError: for an instruction, strength, tile or number of steps that does not fit the model.
    """

    def __init__(self, restorer: Restorer, out: Path, how: How, weights: str, overwrite: bool = False) -> None:
        restorer.check(how.instruction, how.strength, how.steps, how.tile)
        self.restorer, self.out, self.how, self.overwrite = restorer, out, how, overwrite
        self.digest = how.digest(weights)
        self.ledger = Ledger(out / LEDGER, _HOLDS)
        self.results = Results()

    def run(self, found: Found) -> Results:
        """Restores all pictures; whatever one of them does, the others are restored."""
        with _progress() as progress:
            bar = progress.add_task("restoring", total=len(found.places))
            for place in found.places:
                start = time.perf_counter()
                try:
                    result = self._restore(place, _tiles(progress))
                except Exception as error:
                    result = Result(str(place.source), place.name, "failed", line_of(error))
                seconds = time.perf_counter() - start if result.state == "restored" else 0.0
                self.results.rows.append(replace(result, seconds=seconds))
                progress.advance(bar)
        self.results.rows += [Result(name, "", "failed", reason) for name, reason in found.missing.items()]
        return self.results

    def _restore(self, place: Place, watch: Watch) -> Result:
        target, about = self.out / place.name, place.source.stat()
        stamp = {
            "name": place.name,
            "source": str(place.source),
            "bytes": about.st_size,
            "changed": about.st_mtime_ns,
            "how": self.digest,
        }
        if self._is_done(target, stamp):
            return Result(str(place.source), place.name, "done before")
        if target.exists() and target.resolve() == place.source:
            raise FileExistsError(f"{target} is the picture itself; give another --out")
        if target.exists() and not self.overwrite:
            raise FileExistsError(f"{target} is there already; --overwrite replaces it, or give another --out")
        stored = read_stored(place.source)
        lq, _ = as_batch(stored.samples, str(place.source))
        how = self.how
        found = self.restorer(
            lq[0], how.instruction, strength=how.strength, steps=how.steps, seed=how.seed, tile=how.tile, watch=watch
        )
        self.ledger.add(stamp | {"begun": time.time_ns()})  # before the file: what comes after it is ours
        left_out = write_stored(target, found.image, stored, how.quality)
        if len(self.results.cells) < _MOST_CELLS:
            self.results.cells.append(_cells(place.name, found, how.told(found.instruction)))
        note = how.told(found.instruction) + "".join(
            f"; {name} left out, too long for this format" for name in left_out
        )
        return Result(str(place.source), place.name, "restored", note, f"{lq.shape[3]} x {lq.shape[2]}")

    def _is_done(self, target: Path, stamp: Row) -> bool:
        """Whether the target was written from this very file in this very way, by a run that may have been killed."""
        row = self.ledger.rows.get(stamp["name"])
        return row is not None and {key: row.get(key) for key in stamp} == stamp and _was_written(target, row)


def results_in(out: Path, inputs: Iterable[str]) -> set[Path]:
    """What `restore` wrote before, which a search is to pass over.

    That are the restorations in the output folder and in all folders below the inputs, though not in an input itself,
    whose restorations may be meant to be restored further; contact sheets, and grids.
    """
    given = {Path(own) for own in inputs if os.path.isdir(own)}
    below = {file.parent for folder in given for file in folder.rglob(LEDGER)}
    found: set[Path] = set()
    for folder in below | {out}:
        rows = Ledger.read(folder / LEDGER, _HOLDS)
        if folder == out or folder not in given:
            found |= {folder / name for name, row in rows.items() if _was_written(folder / name, row)}
        found |= {folder / SHEET} if rows else set()
    for folder in given | {out}:
        grids = folder.rglob(f"*{GRID}")
        found |= {own for own in grids if Path(own.name.removesuffix(GRID)).suffix.lower() in SUFFIXES}
    return {own.resolve() for own in found}


def _was_written(target: Path, row: Row) -> bool:
    """Whether a file is there and no older than the work that its row speaks of."""
    return target.exists() and target.stat().st_mtime_ns >= int(row.get("begun", 0)) - _CLOCK


def out_of_memory(error: Exception) -> bool:
    """Whether a picture was too much, on the device or the CPU; not a fault of the program."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _NO_MEMORY in str(error)


def line_of(error: Exception) -> str:
    """An error in one line, for people."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if out_of_memory(error):
        return "not enough memory: give a smaller --tile"
    return " ".join(str(error).split()) or type(error).__name__


def middle_of(picture: Tensor, size: int = 256) -> Tensor:
    """The middle of a picture (3, H, W), a copy that keeps no more of it in memory."""
    top, left = (max(0, (side - size) // 2) for side in picture.shape[1:])
    return picture[:, top : top + size, left : left + size].clone()


def _cells(name: str, found: Restoration, told: str) -> tuple[Cell, Cell]:
    """The middle of a picture before and after, and by what."""
    before, after = map(middle_of, (found.lq, found.image))
    return Cell(before, Path(name).name[-36:]), Cell(after, told)


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
