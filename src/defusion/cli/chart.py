"""The command `chart`: the test chart on paper, and back."""

from pathlib import Path
from typing import Annotated

import typer
from rich import get_console

from defusion.cli.options import WEIGHTS, Weights, check_file
from defusion.grounds.chart import Chart
from defusion.grounds.printed import Sheet, print_chart
from defusion.grounds.reading import MARKS, read_chart
from defusion.imageio import read_image, write_png
from defusion.pretrained import find
from defusion.tokenizer.network import Tokenizer

_TOO_LARGE = 2.0
"""Pixels of the photograph a pixel of the chart, from which its fine grain is lost."""


def chart_of(weights: str) -> Chart:
    """That which the model of some weights reads."""
    return Tokenizer.load(find(weights) / "tokenizer").config.chart


def chart(
    printed: Annotated[Path | None, typer.Option("--print", help="Write a page to be printed, a PDF.")] = None,
    paper: Annotated[str, typer.Option(help="a4 or letter.")] = "a4",
    read: Annotated[Path | None, typer.Option("--read", help="A photograph of the page under what is wrong.")] = None,
    clean: Annotated[
        Path | None,
        typer.Option("--clean", help="With nothing wrong: places colours and page."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where ground.png and instruction.png are written.")] = Path(
        "shown"
    ),
    weights: Weights = WEIGHTS,
) -> None:
    """Print the test chart with marks in its corners, or read a photograph of it back as an instruction."""
    if (printed is None) == (read is None):
        raise ValueError("chart: expected --print chart.pdf, or --read photo.jpg; one of them")
    own = chart_of(weights)
    console = get_console()
    if printed is not None:
        check_file("--print", printed, ".pdf")
        print_chart(printed, own, paper)
        console.print(
            f"wrote {printed}: print it at full size; in photographs the chart in the middle is to be {own.size} px "
            f"wide, the page about {own.size / Sheet(own).share(paper):.0f}"
        )
        return
    assert read is not None
    other = None if clean is None else read_image(clean)
    found = read_chart(read_image(read), own, other, (str(read), str(clean)))
    files = {"ground": found.ground, "instruction": found.picture}
    for name, picture in files.items():
        write_png(out / f"{name}.png", picture[0])
    console.print(
        f"the chart is {own.size * found.scale:.0f} px wide in the photograph ({own.size} is best); wrote "
        f"{out}/ground.png and {out}/instruction.png: restore ... --chart {out}/ground.png {out}/instruction.png",
        highlight=False,
    )
    if clean is None:
        console.print("without --clean the colours of print and camera are part of what is shown")
    if not found.sure:
        console.print(
            f"{found.marks} of {MARKS} corner marks are seen, too few to be sure where the chart is (likeness "
            f"{found.likeness:.2f} of 1), and the clean photograph tells the place: look at {out}/instruction.png",
            highlight=False,
            markup=False,
            style="yellow",
        )
    if found.scale > _TOO_LARGE:
        console.print(
            f"[yellow]the chart is {found.scale:.1f} times as large as it should be: noise, rain and JPEG look finer "
            "on it than they are in the picture; photograph it from further away[/yellow]"
        )
