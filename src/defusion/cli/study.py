"""The commands of the ablation study: `ablation` and `peers`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import get_console

from data_modules.clean import open_clean
from data_modules.photos import is_split, open_photos
from defusion.cli.options import check_file
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss

if TYPE_CHECKING:
    from defusion.study.running import Runner

Data = Annotated[
    str | None, typer.Option(help="Clean photographs, measured on its val/ where it has train/ and val/ below.")
]
TrainingSteps = Annotated[int, typer.Option("--steps", min=1, help="Training steps of a run; time grows with it.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each variant.")]
Report = Annotated[
    Path | None,
    typer.Option(
        "--out", help="The Markdown file whose section is written; RESULTS.md beside the trainings if not given."
    ),
]
Runs = Annotated[
    Path, typer.Option(file_okay=False, help="The folder of the trainings; below it one a number of steps.")
]
Lpips = Annotated[Path | None, typer.Option(help="Torchvision's AlexNet weights: adds LPIPS.")]
Only = Annotated[str, typer.Option(help="Names of variants joined by commas; all when not given.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show the runs, what is done and the hours left.")]

TRAININGS = Path("runs/ablation")


def ablation(
    data: Data = None,
    steps: TrainingSteps = 1000,
    seeds: Seeds = 3,
    out: Report = None,
    runs: Runs = TRAININGS,
    lpips: Lpips = None,
    only: Only = "",
    dry_run: Dry = False,
) -> None:
    """Test the paper's claims: train the method and its variants alike, measure, report; goes on where it was."""
    runner, report = _opened(data, steps, seeds, out, runs, lpips)
    planned = runner.ablation(_names(only))
    runner.check(planned)
    if dry_run:
        get_console().print(runner.table(planned))
        return
    runner.do(planned)
    _report(runner, report)


def peers(
    data: Data = None,
    steps: TrainingSteps = 1000,
    seeds: Seeds = 3,
    out: Report = None,
    runs: Runs = TRAININGS,
    lpips: Lpips = None,
    only: Only = "",
    dry_run: Dry = False,
) -> None:
    """Compare with published networks of equal size, trained on the same samples for as long; goes on where it was."""
    runner, report = _opened(data, steps, seeds, out, runs, lpips)
    planned = runner.planned_peers(_names(only))
    runner.check(planned)
    if dry_run:
        get_console().print(runner.table(planned))
        return
    runner.do(runner.peers(_names(only)))
    _report(runner, report)


def _opened(
    data: str | None, steps: int, seeds: int, out: Path | None, runs: Path, lpips: Path | None
) -> "tuple[Runner, Path]":
    """What carries the study out, and the file of its report; all that would only fail after hours is tried here.

    Raises:
        ValueError: when what the study needs is not installed, photographs cannot be opened, or the file of the report
            cannot take it.
    """
    try:
        from defusion.study.plan import Study
        from defusion.study.report import replaced
        from defusion.study.running import Runner
    except ModuleNotFoundError as error:
        raise ValueError(f"the study needs {error.name}: pip install 'defusion[study]'") from error
    study = Study(data or None, steps, seeds, folder=runs)
    report = out or study.place / "RESULTS.md"
    check_file("--out", report)
    if report.exists():
        replaced(report.read_text(encoding="utf-8"), "", report)
    perceptual = None if lpips is None else PerceptualLoss(PerceptualConfig("alex", str(lpips)))
    open_photos(data, "train", study.crop_size)  # as the trainings open them
    open_photos(data, "val", study.crop_size)
    return Runner(study, open_clean(data if data and is_split(Path(data)) else None), perceptual), report


def _report(runner: "Runner", out: Path) -> None:
    from defusion.study.report import write_report

    unfinished = ", ".join(f"{run.variant.name} with seed {run.seed}" for run in runner.unfinished())
    if unfinished:
        get_console().print(f"fewer seeds in the report, for these are not done: {unfinished}", highlight=False)
    write_report(runner.scores(), out)
    get_console().print(f"wrote {out}")


def _names(only: str) -> list[str]:
    return [name.strip() for name in only.split(",") if name.strip()]
