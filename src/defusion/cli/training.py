"""Commands that train, demonstrate and time."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from lightning.fabric.utilities import move_data_to_device
from rich import get_console

from data_modules.clean import EmbeddedPairs
from data_modules.plan import SynthesisConfig
from data_modules.restoration import RestorationDataModule
from defusion.benchmark import Timing, compare, compare_restoration, shares, table, waiting
from defusion.cli.options import WEIGHTS, Out, Seed, Weights, check_file
from defusion.degradations.library import NAMES
from defusion.evaluation.demonstration import demonstrate
from defusion.evaluation.tasks import degradation
from defusion.evaluation.testset import TestSet
from defusion.grounds.chart import Chart
from defusion.precision import default_device
from defusion.restore.restorer import Restorer
from defusion.types import Batch
from defusion.unet.unet import UNetConfig


def train(context: typer.Context) -> None:
    """Train by LightningCLI: defusion train fit --config base.yaml --config run.yaml."""
    from defusion.training import train as run

    run(context.args)


def demo(out: Out = Path("demo"), weights: Weights = WEIGHTS, seed: Seed = 0) -> None:
    """Measure every degradation on the held-out embedded photographs; table, results.json, gallery.png."""
    photographs = EmbeddedPairs()
    tests = {name: TestSet(degradation(name), photographs) for name in NAMES}
    demonstrate(Restorer.from_pretrained(weights), tests, out, seed)


def bench(
    config: Annotated[Path, typer.Option(help="The run whose training step is timed.")] = Path(
        "experiments/diffusion/small.yaml"
    ),
    repeats: Annotated[int, typer.Option(min=1, help="Steps timed; the median counts.")] = 5,
    compiled: Annotated[bool, typer.Option("--compile", help="Time torch.compile too.")] = False,
    restoration: Annotated[bool, typer.Option("--restore", help="Time restoring a picture instead.")] = False,
    data: Annotated[str | None, typer.Option(help="Photographs, as in training.")] = None,
    weights: Weights = WEIGHTS,
    size: Annotated[tuple[int, int], typer.Option(help="Height and width of that picture.")] = (1024, 1024),
    out: Annotated[Path | None, typer.Option("--out", help="Draw the times into this PNG, too.")] = None,
) -> None:
    """Time a training step by its parts, against what its convolutions take alone; or restoring a picture."""
    check_file("--out", out, ".png")

    def show(rows: Sequence[Timing], count: int, title: str, *notes: str) -> None:
        get_console().print(table(rows, count, title))
        for note in notes:
            get_console().print(note, highlight=False)
        if out is not None:
            from defusion.study.figures import timings_figure, write_figure  # needs an extra

            write_figure(timings_figure(rows, "\n".join((title, *notes))), out)
            get_console().print(f"wrote {out}", highlight=False, markup=False)

    if restoration:
        rows = compare_restoration(Restorer.from_pretrained(weights), *size, repeats)
        show(rows, 1, f"One picture of {size[0]} x {size[1]} px")
        return
    settings = yaml.safe_load(config.read_text())
    unet = UNetConfig(**settings["model"]["init_args"]["model"]["unet"])
    own = settings["data"]["init_args"]
    count = own["batch_size"]
    device = default_device()

    def source(workers: int) -> tuple[Iterator[Any], Callable[[Any], Batch]]:
        synthesis = SynthesisConfig(**own["synthesis"] | {"chart": Chart(**own["synthesis"]["chart"])})
        options = {name: own[name] for name in ("crop_size", "batch_size", "procedural_share") if name in own}
        module = RestorationDataModule(data, synthesis=synthesis, workers=workers, **options)
        module.setup("fit")
        return iter(module.train_dataloader()), lambda loaded: module.on_after_batch_transfer(
            move_data_to_device(loaded, device), 0
        )

    load, prepare = source(0)
    loaded = cycle([next(load) for _ in range(repeats)])
    rows = compare(unet, lambda: prepare(next(loaded)), repeats, compiled)
    wait = waiting(*source(own.get("workers", 1)), unet, repeats)
    show([*rows, wait], count, f"One training step, batch of {count}", *shares(rows, wait))
