"""The `defusion` command."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from lightning.fabric.utilities import move_data_to_device
from rich import get_console
from rich.progress import track
from torch import Tensor

from data_modules.pairs import PairedFolder
from data_modules.photos import FolderPhotos, PhotoSource, open_photos
from data_modules.plan import SynthesisConfig
from data_modules.restoration import RestorationDataModule
from defusion.benchmark import compare, table
from defusion.degradations.library import NAMES
from defusion.evaluation.demonstration import demonstrate
from defusion.evaluation.report import summary_table, write_json
from defusion.evaluation.runner import Pair, result_as_dict, score, synthetic_pairs
from defusion.evaluation.tasks import SyntheticTask, find_task
from defusion.grounds.chart import Chart, sheet
from defusion.imageio import find_images, read_image, to_tensor, write_png
from defusion.instruction import VisualInstruction
from defusion.precision import default_device
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.samples import degradation_sheet, write_degraded
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss
from defusion.types import Batch
from defusion.unet.unet import UNetConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

WEIGHTS = Path("runs/diffusion/nano/weights")

Weights = Annotated[Path, typer.Option(help="Folder of trained weights.")]
Steps = Annotated[int, typer.Option(min=1, help="Sampling steps: more look sharper, one has the best PSNR.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]


@app.command()
def ground(
    out: Out,
    size: Annotated[int, typer.Option(help="Side in pixels (of each construct with --sheet).")] = 512,
    seed: Annotated[int | None, typer.Option(help="Draw a random chart; else the canonical one.")] = None,
    kind: Annotated[str, typer.Option(help="te42, blank or striped.")] = "te42",
    pool: Annotated[bool, typer.Option("--sheet", help="Draw every construct of the pool.")] = False,
) -> None:
    """Draw a visual ground, the clean test chart."""
    if pool:
        write_png(out, np.asarray(sheet(size)))
        return
    chart = Chart(size, kind)  # type: ignore[arg-type]
    write_png(out, (chart.canonical() if seed is None else chart.draw(1, generator(seed)))[0])
    get_console().print(f"wrote {out}")


@app.command()
def degrade(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures or folders.")],
    out: Out,
    spec: Annotated[str, typer.Option("--with", help=f'"rain+noise"; of {", ".join(NAMES)}.')] = "noise",
    seed: Seed = 0,
    severity: Annotated[float | None, typer.Option(min=0, max=1, help="Of every member; drawn when not given.")] = None,
    contact: Annotated[bool, typer.Option("--sheet", help="All degradations at three severities.")] = False,
) -> None:
    """Degrade pictures; write each with its instruction and the parameters as JSON."""
    paths = find_images(inputs)
    _refuse_collisions([out / path.stem for path in paths])
    for path in track(paths, "degrading", console=get_console()):
        picture = to_tensor(read_image(path))
        if contact:
            write_png(out / f"{path.stem}_sheet.png", np.asarray(degradation_sheet(picture, seed)))
        else:
            write_degraded(picture, out / path.stem, spec, seed, severity)
    get_console().print(f"wrote {out}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def train(context: typer.Context) -> None:
    """Train by LightningCLI: defusion train fit --config base.yaml --config run.yaml."""
    from defusion.training import train as run

    run(context.args)


@app.command()
def restore(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures or folders.")],
    out: Out,
    instruction: Annotated[str, typer.Option(help='What to remove: "rain+noise".')] = "",
    chart: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Instead: pictures of one chart, clean and degraded.")
    ] = None,
    weights: Weights = WEIGHTS,
    steps: Steps = 4,
    seed: Seed = 0,
) -> None:
    """Restore pictures of any size; the results are PNG files of the same names."""
    paths = find_images(inputs)
    names = [out / f"{path.stem}.png" for path in paths]
    _refuse_collisions(names)
    if bool(instruction) == bool(chart):
        raise ValueError('--instruction: expected either names, as in "rain+noise", or two pictures by --chart')
    restorer = Restorer.load(weights)
    size = restorer.model.tokenizer.config.ground_size
    shown = VisualInstruction.of_pictures(*chart, size) if chart else restorer.instruction(instruction, seed)
    for path, name in track(list(zip(paths, names, strict=True)), "restoring", console=get_console()):
        write_png(name, restorer(to_tensor(read_image(path))[None], shown, steps, seed=seed)[0])
    get_console().print(f"wrote {len(names)} pictures to {out}")


@app.command("eval")
def evaluation(
    task: Annotated[str, typer.Option(help="A degradation, a composite, or a data set of the paper.")],
    data: Annotated[str | None, typer.Option(help="Clean pictures, or input/ and target/.")] = None,
    weights: Weights = WEIGHTS,
    steps: Steps = 1,
    seed: Seed = 0,
    lpips: Annotated[Path | None, typer.Option(help="Torchvision's AlexNet weights: adds LPIPS.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores here too.")] = None,
) -> None:
    """Restore and score the pictures of a task."""
    chosen = find_task(task)
    if isinstance(chosen, SyntheticTask):
        source = open_photos(data, "val") if data is None or not Path(data).is_dir() else FolderPhotos(data)
        count, shown = len(source), chosen.name
        pairs = synthetic_pairs(_pictures(source), chosen.name)
    else:
        folder = PairedFolder(chosen.require(data), chosen.stand_in)
        count, shown = len(folder), chosen.stand_in
        pairs = (Pair(*map(to_tensor, folder[number])) for number in range(len(folder)))
    perceptual = None if lpips is None else PerceptualLoss(PerceptualConfig("alex", str(lpips)))
    restorer = Restorer.load(weights)
    instruction = restorer.instruction(shown, seed)
    shown_pairs = track(pairs, f"restoring {chosen.name}", total=count, console=get_console())
    restorations = ((pair, restorer(pair.lq[None], instruction, steps, seed=seed)[0]) for pair in shown_pairs)
    result = score(chosen.name, restorations, perceptual)
    get_console().print(summary_table({chosen.name: result}, f"{chosen.name}, {steps} steps"), chosen.protocol)
    if json is not None:
        write_json(json, result_as_dict(chosen.name, chosen.protocol, result, weights, steps))


@app.command()
def demo(out: Out = Path("demo"), weights: Weights = WEIGHTS, seed: Seed = 0) -> None:
    """Measure every degradation on the held-out embedded photographs; table, results.json, gallery.png."""
    demonstrate(Restorer.load(weights), list(_pictures(open_photos(None, "val"))), out, seed)


@app.command()
def bench(
    config: Annotated[Path, typer.Option(help="The run whose training step is timed.")] = Path(
        "experiments/diffusion/small.yaml"
    ),
    repeats: Annotated[int, typer.Option(min=1, help="Steps timed; the median counts.")] = 5,
    compiled: Annotated[bool, typer.Option("--compile", help="Time torch.compile too.")] = False,
) -> None:
    """Time a training step: the network, its plain counterpart, and the synthesis beside it."""
    settings = yaml.safe_load(config.read_text())
    unet = UNetConfig(**settings["model"]["init_args"]["model"]["unet"])
    data = settings["data"]["init_args"]
    module = RestorationDataModule(
        synthesis=SynthesisConfig(chart=Chart(**data["synthesis"]["chart"])),
        crop_size=data["crop_size"],
        batch_size=data["batch_size"],
        workers=0,
    )
    module.setup("fit")
    batches = iter(module.train_dataloader())
    device = default_device()

    def synthesise() -> Batch:
        return module.on_after_batch_transfer(move_data_to_device(next(batches), device), 0)

    get_console().print(table(compare(unet, synthesise, repeats, compiled), data["batch_size"]))


def _refuse_collisions(names: list[Path]) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"IN: several pictures would be written to {', '.join(twice)}; take them in turn")


def _pictures(source: PhotoSource) -> Iterator[Tensor]:
    return (to_tensor(source[position]) for position in range(len(source)))


def main() -> None:
    """Runs the command; what the user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        get_console().file.flush()
        print(f"defusion: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
