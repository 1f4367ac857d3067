"""The commands `restore` and `describe`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich import box, get_console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from torch import Tensor

from defusion.cli.options import WEIGHTS, Out, Overwrite, Seed, Steps, Weights, check_file, check_new
from defusion.files import replacing
from defusion.imageio import image_size, read_image, to_tensor, write_png
from defusion.instruction import VisualInstruction
from defusion.oracle import instruction as fitted_instruction
from defusion.pretrained import find
from defusion.restore.batch import GRID, SHEET, Batch, How, Results, line_of, middle_of, results_in
from defusion.restore.grid import strength_grid
from defusion.restore.pictures import as_batch
from defusion.restore.places import Found, Place, find_places
from defusion.restore.restorer import AUTO, Instruction, Restorer
from defusion.restore.stored import QUALITY
from defusion.restore.strength import Strength
from defusion.sheets import Cell, contact_sheet
from defusion.weights import checksum

Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help='Pictures, folders, patterns ("scans/**/*.tif"); - for a list.')
]
_MOST_DRAWN = 24
_ALIKE = 0.02
"""Root mean square of the difference from the model's chart up to which a picture is that chart."""
_COARSE = 1.5
"""How many times as large as the model's a chart may be before its grain is worth a word."""


def restore(
    inputs: Inputs,
    out: Out,
    instruction: Annotated[
        str,
        typer.Option(
            help='What to remove: "rain", "rain:0.7+noise:25"; auto, also when not given: what the model sees itself.'
        ),
    ] = "",
    chart: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Instead: pictures of one chart, clean and degraded.")
    ] = None,
    like: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Instead: a picture degraded alike and its clean twin; --instruction may name how."),
    ] = None,
    strength: Annotated[str, typer.Option(help='0 to 1, of all, or of each: "rain=1,noise=0.3".')] = "1",
    weights: Weights = WEIGHTS,
    steps: Steps = 1,
    seed: Seed = 0,
    tile: Annotated[
        int | None, typer.Option(min=0, help="Largest side of a tile; else as the memory allows; 0: never.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="png, jpg, tif, webp, avif, bmp; else that of each file.")] = "",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF.")] = QUALITY,
    overwrite: Overwrite = False,
    sheet: Annotated[bool, typer.Option(help=f"Draw {SHEET} of several pictures before and after.")] = True,
    grid: Annotated[bool, typer.Option("--grid", help="Draw strengths x steps of each picture instead.")] = False,
) -> None:
    """Restore pictures of any size, each into a file of its name and kind; goes on where it was."""
    if grid and (strength != "1" or steps != 1 or tile is not None or form):
        raise ValueError("--grid: draws all strengths and steps; leave out --strength, --steps, --tile and --format")
    if out.is_file():
        raise ValueError(f"--out: expected a folder for the restored pictures, got the file {out}")
    graded = _strength(strength)
    suffix = f".{form.lower().removeprefix('.')}" if form else None
    found = find_places(inputs, out, suffix, sys.stdin if "-" in inputs else (), results_in(out, inputs))
    folder = find(weights)
    restorer = Restorer.from_pretrained(folder)
    shown = _instruction(restorer, instruction, chart, like, seed)
    if grid:

        def draw(place: Place) -> None:
            drawn = strength_grid(restorer, _picture(place), shown, seed=seed)
            _new(out / f"{place.name}{GRID}", overwrite, lambda file: write_png(file, np.asarray(drawn)))

        _end(_each(found, "drawing", draw), len(found.places) + len(found.missing))
        return
    batch = Batch(restorer, out, How(shown, graded, steps, seed, tile, quality), checksum(folder), overwrite)
    results = batch.run(found)
    get_console().print(results.table())
    if sheet and len(results.cells) > 1:
        _draw_sheet(results, shown, out / SHEET, overwrite)
    _end({row.source: row.note for row in results.failed}, len(results.rows))


def describe(
    inputs: Inputs,
    out: Annotated[Path | None, typer.Option("--out", help="A PNG of each picture and what it is taken for.")] = None,
    weights: Weights = WEIGHTS,
    overwrite: Overwrite = False,
) -> None:
    """Say what is wrong with pictures, and how sure that is: what `restore --instruction auto` goes by."""
    check_file("--out", out, ".png")
    if out is not None:
        check_new(out, overwrite)
    found = find_places(inputs, listed=sys.stdin if "-" in inputs else ())
    restorer = Restorer.from_pretrained(weights)
    restorer.check(AUTO)
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("picture", "seen"):
        table.add_column(head, overflow="fold")
    rows: list[tuple[Cell, ...]] = []

    def look(place: Place) -> None:
        picture = _picture(place)
        (seen,) = restorer.describe(picture)
        table.add_row(escape(place.name), seen.words)
        if out is not None and len(rows) < _MOST_DRAWN:
            cells = (Cell(seen.ground[0], "chart"), Cell(seen.picture[0], seen.shown))
            rows.append((Cell(middle_of(picture), place.name[-36:]), *cells))

    failed = _each(found, "describing", look)
    get_console().print(table)
    if out is not None and rows:
        _new(out, overwrite, lambda file: _write_sheet(file, rows))
    _end(failed, len(found.places) + len(found.missing))


def doubts(shown: VisualInstruction, canonical: Tensor) -> str:
    """What may be wrong with pictures of a chart, clean and degraded, in words; "" where nothing seems to be.

    Args:
        shown: the pictures.
        canonical: the chart that the model knows, (1, 3, S, S).
    """
    if torch.equal(shown.ground, shown.picture):
        return "both pictures are the same, which asks for nothing"
    clean, degraded = ((own - canonical).square().mean().sqrt() for own in (shown.ground, shown.picture))
    if degraded < _ALIKE < clean:
        return "the second picture is the clean chart: give CLEAN first, then DEGRADED"
    return ""


def _each(found: Found, words: str, work: Callable[[Place], None]) -> dict[str, str]:
    """Works on every picture, whatever another does; what failed, and why."""
    failed = dict(found.missing)
    for place in track(found.places, words, console=get_console()):
        try:
            work(place)
        except Exception as error:
            failed[str(place.source)] = line_of(error)
    return failed


def _end(failed: Mapping[str, str], count: int) -> None:
    """Lists what failed, with exit code 1."""
    if not failed:
        return
    get_console().file.flush()
    print(f"defusion: {len(failed)} of {count} pictures failed:", file=sys.stderr)
    for name, reason in failed.items():
        print(f"  {name}: {reason.removeprefix(f'{name}: ')}", file=sys.stderr)
    raise typer.Exit(1)


def _new(file: Path, overwrite: bool, write: Callable[[Path], None]) -> None:
    """Writes a file that is not there."""
    check_new(file, overwrite)
    write(file)
    get_console().print(f"wrote {file}", highlight=False, markup=False)


def _picture(place: Place) -> Tensor:
    """(3, H, W), as `restore` reads it."""
    return as_batch(str(place.source), str(place.source))[0][0]


def _instruction(
    restorer: Restorer,
    instruction: str,
    chart: tuple[Path, Path] | None,
    like: tuple[Path, Path] | None,
    seed: int,
) -> Instruction:
    """What the options show."""
    if chart and (instruction or like):
        raise ValueError("--chart: expected it alone, got --instruction or --like too: show one thing")
    if chart:
        size = restorer.model.tokenizer.config.ground_size
        shown = VisualInstruction.of_pictures(*chart, size)
        if doubt := doubts(shown, restorer.chart.canonical()):
            get_console().print(f"--chart: {doubt}", highlight=False, markup=False, style="yellow")
        for path in (own for own in chart if min(image_size(own)) >= _COARSE * size):
            get_console().print(
                f"--chart: {path} is averaged to the {size} x {size} px that the model reads, where noise and rain "
                f"all but vanish: give charts of about that size (of paper: `defusion chart --read`)",
                highlight=False,
                markup=False,
                style="yellow",
            )
        return shown
    if like:
        lq, hq = (to_tensor(read_image(path)) for path in like)
        if lq.shape != hq.shape:
            sizes = (f"{path} of {own.shape[2]} x {own.shape[1]} px" for path, own in zip(like, (lq, hq), strict=True))
            raise ValueError(f"--like: expected two pictures of one size, got {' and '.join(sizes)}: crop them alike")
        names = instruction or AUTO
        if names == AUTO:
            (seen,) = restorer.describe(lq)
            names = seen.shown
            if not any(own in seen.confidences for own in names.split("+")):
                raise ValueError(f"--like: nothing wrong was seen in {like[0]}; name it, as in --instruction rain")
            get_console().print(f"{like[0]}: {seen.words}", highlight=False, markup=False)
        return fitted_instruction(names, lq, hq, restorer.chart, seed)
    if instruction in ("", AUTO):
        restorer.check(AUTO)
        return AUTO
    restorer.instruction(instruction, seed)  # refuses unknown names before the first picture
    return instruction


def _strength(text: str) -> Strength:
    """ "0.5", or "rain=1,noise=0.3"."""
    try:
        if "=" not in text:
            return float(text)
        found: Mapping[str, float] = {
            name.strip(): float(value) for name, _, value in (part.partition("=") for part in text.split(","))
        }
    except ValueError as error:
        raise ValueError(f"--strength: expected 0.5, or rain=1,noise=0.3, got {text!r}") from error
    return found


def _draw_sheet(results: Results, shown: Instruction, file: Path, overwrite: bool) -> None:
    """Pictures before and after; one that cannot be written takes nothing from the restorations."""
    pairs = [cell for pair in results.cells for cell in pair]
    rows = [pairs[start : start + 4] for start in range(0, len(pairs), 4)]
    if isinstance(shown, VisualInstruction):
        rows.insert(0, [Cell(shown.ground[0], "chart"), Cell(shown.picture[0], "chart, degraded")])
    if any(row.name == file.name for row in results.rows):
        return  # it is the name of a picture
    try:
        _new(file, overwrite, lambda place: _write_sheet(place, rows))
    except OSError as error:
        get_console().print(f"no contact sheet: {line_of(error)}", highlight=False, markup=False)


def _write_sheet(file: Path, rows: Sequence[Sequence[Cell]]) -> None:
    with replacing(file) as partial:
        contact_sheet(rows).save(partial, "PNG")
