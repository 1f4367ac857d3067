"""The commands `restore` and `describe`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box, get_console
from rich.progress import track
from rich.table import Table

from defusion.cli.options import WEIGHTS, Out, Seed, Steps, Weights
from defusion.files import replacing
from defusion.imageio import read_image, to_tensor, write_png
from defusion.instruction import VisualInstruction
from defusion.oracle import instruction as fitted_instruction
from defusion.pretrained import find
from defusion.restore.batch import How, Results, restore_files
from defusion.restore.grid import strength_grid
from defusion.restore.places import Place, places
from defusion.restore.restorer import AUTO, Instruction, Restorer
from defusion.restore.stored import QUALITY
from defusion.restore.strength import Strength
from defusion.sheets import Cell, contact_sheet
from defusion.weights import checksum

Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help='Pictures, folders, patterns ("scans/**/*.tif"); - for a list.')
]
_SHEET = "contact_sheet.png"


def restore(
    inputs: Inputs,
    out: Out,
    instruction: Annotated[
        str, typer.Option(help='What to remove: "rain", "rain:0.7+noise:25"; auto: what the model sees itself.')
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    sheet: Annotated[bool, typer.Option(help=f"Draw {_SHEET} of several pictures before and after.")] = True,
    grid: Annotated[bool, typer.Option("--grid", help="Draw strengths x steps of each picture instead.")] = False,
) -> None:
    """Restore pictures of any size, each into a file of its name and kind; goes on where it was."""
    found = places(
        inputs, out, f".{form.lower().removeprefix('.')}" if form else None, sys.stdin if "-" in inputs else ()
    )
    graded = _strength(strength)
    restorer = Restorer.from_pretrained(weights)
    shown = _instruction(restorer, instruction, chart, like, seed)
    if grid:
        _draw_grids(restorer, found, shown, out, seed, overwrite)
        return
    how = How(shown, graded, steps, seed, tile, quality)
    results = restore_files(restorer, found, out, how, checksum(find(weights)), overwrite)
    console = get_console()
    console.print(results.table())
    if sheet and len(results.cells) > 1:
        _draw_sheet(results, shown, out)
    if results.failed:
        print(f"defusion: {len(results.failed)} of {len(results.rows)} pictures failed:", file=sys.stderr)
        for row in results.failed:
            print(f"  {row.place.source}: {row.note}", file=sys.stderr)
        raise typer.Exit(1)


def describe(
    inputs: Inputs,
    out: Annotated[Path | None, typer.Option("--out", help="Draw each picture beside what it is taken for.")] = None,
    weights: Weights = WEIGHTS,
) -> None:
    """Say what is wrong with pictures, and how sure that is: what `restore --instruction auto` goes by."""
    found = places(inputs, out or Path())
    restorer = Restorer.from_pretrained(weights)
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("picture", "seen"):
        table.add_column(head, overflow="fold")
    rows: list[tuple[Cell, ...]] = []
    for place in track(found, "describing", console=get_console()):
        picture = to_tensor(read_image(place.source))
        (seen,) = restorer.describe(picture)
        table.add_row(place.name, seen.words)
        cells = (Cell(picture, place.name[-36:]), Cell(seen.ground[0], "chart"), Cell(seen.picture[0], seen.shown[:36]))
        rows.append(cells)
    get_console().print(table)
    if out is not None:
        _write_sheet(out, rows)


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
        return VisualInstruction.of_pictures(*chart, restorer.model.tokenizer.config.ground_size)
    if like:
        lq, hq = (to_tensor(read_image(path)) for path in like)
        names = instruction or AUTO
        if names == AUTO:
            (seen,) = restorer.describe(lq)
            names = seen.shown
            if not any(own in seen.confidences for own in names.split("+")):
                raise ValueError(f"--like: nothing wrong was seen in {like[0]}; name it, as in --instruction rain")
            get_console().print(f"{like[0]}: {seen.words}", highlight=False)
        return fitted_instruction(names, lq, hq, restorer.chart, seed)
    if instruction in ("", AUTO):
        if restorer.describer is None:
            raise ValueError(
                '--instruction: expected names, as in "rain+noise", or two pictures by --chart; these weights have no '
                "describer for auto"
            )
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


def _draw_grids(
    restorer: Restorer, found: list[Place], shown: Instruction, out: Path, seed: int, overwrite: bool
) -> None:
    for place in track(found, "drawing", console=get_console()):
        file = out / f"{place.name}_grid.png"
        if file.exists() and not overwrite:
            raise ValueError(f"{file}: is there already; --overwrite replaces it, or give another --out")
        picture = to_tensor(read_image(place.source))
        write_png(file, np.asarray(strength_grid(restorer, picture, shown, seed=seed)))
    get_console().print(f"wrote {len(found)} grids to {out}")


def _draw_sheet(results: Results, shown: Instruction, out: Path) -> None:
    pairs = [cell for pair in results.cells for cell in pair]
    rows = [pairs[start : start + 4] for start in range(0, len(pairs), 4)]
    if isinstance(shown, VisualInstruction):
        rows.insert(0, [Cell(shown.ground[0], "chart"), Cell(shown.picture[0], "chart, degraded")])
    _write_sheet(out / _SHEET, rows)


def _write_sheet(file: Path, rows: Sequence[Sequence[Cell]]) -> None:
    with replacing(file) as partial:
        contact_sheet(rows).save(partial, "PNG")
    get_console().print(f"wrote {file}")
