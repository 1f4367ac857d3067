"""Commands that draw charts and degrade pictures."""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import get_console
from rich.progress import track

from defusion.cli.chart import chart_of
from defusion.cli.options import WEIGHTS, Out, Overwrite, Seed, Weights, check_file, check_new
from defusion.degradations.library import NAMES
from defusion.grounds.chart import Chart, sheet
from defusion.imageio import find_images, read_image, to_tensor, write_png
from defusion.random import generator
from defusion.samples import degradation_sheet, operator_of, write_degraded


def ground(
    out: Out,
    size: Annotated[int, typer.Option(help="Side in pixels (of each construct with --sheet).")] = 512,
    seed: Annotated[int | None, typer.Option(help="Draw a random chart; else the canonical one.")] = None,
    kind: Annotated[str, typer.Option(help="te42, blank or striped.")] = "te42",
    pool: Annotated[bool, typer.Option("--sheet", help="Draw every construct of the pool.")] = False,
) -> None:
    """Draw a visual ground, the clean test chart."""
    check_file("--out", out, ".png")
    if pool:
        write_png(out, np.asarray(sheet(size)))
    else:
        chart = Chart(size, kind)  # type: ignore[arg-type]
        write_png(out, (chart.canonical() if seed is None else chart.draw(1, generator(seed)))[0])
    get_console().print(f"wrote {out}")


def degrade(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures or folders.")],
    out: Out,
    spec: Annotated[str, typer.Option("--with", help=f'"rain+noise", "rain:0.7"; of {", ".join(NAMES)}.')] = "noise",
    seed: Seed = 0,
    severity: Annotated[float | None, typer.Option(min=0, max=1, help="Of every member; drawn when not given.")] = None,
    contact: Annotated[bool, typer.Option("--sheet", help="All degradations at three severities.")] = False,
    weights: Weights = WEIGHTS,
    overwrite: Overwrite = False,
) -> None:
    """Degrade pictures, each into a folder: lq.png, the chart as ground.png and instruction.png, params.json.

    The charts are those that the model of --weights reads: restore --chart ground.png instruction.png.
    """
    paths = find_images(inputs)
    results = {path: out / (f"{path.stem}_sheet.png" if contact else path.stem) for path in paths}
    _refuse_collisions(list(results.values()))
    for result in results.values():
        check_new(result, overwrite)
    operator_of(spec, severity)
    chart = chart_of(weights)
    console = get_console()
    for path in paths if contact else track(paths, "degrading", console=console):
        picture = to_tensor(read_image(path))
        if contact:
            drawn = degradation_sheet(picture, seed, watch=partial(track, description=path.name, console=console))
            write_png(results[path], np.asarray(drawn))
        else:
            write_degraded(picture, results[path], chart, spec, seed, severity)
    console.print(f"wrote {out}", highlight=False, markup=False)


def _refuse_collisions(names: list[Path]) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"IN: several pictures would be written to {', '.join(twice)}; take them in turn")
