"""The commands of the ablation study: `ablation` and `peers`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import get_console

from data_modules.clean import open_clean
from defusion.cli.options import check_file
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss

if TYPE_CHECKING:
    from defusion.study.running import Runner

Data = Annotated[
    str | None, typer.Option(help="Clean photographs, measured on its val/ where it has train/ and val/ below.")
]
TrainingSteps = Annotated[int, typer.Option("--steps", min=1, help="Training steps of a run; time grows with it.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each variant.")]
Report = Annotated[Path, typer.Option("--out", help="The Markdown file whose section is written.")]
Lpips = Annotated[Path | None, typer.Option(help="Torchvision's AlexNet weights: adds LPIPS.")]
Only = Annotated[str, typer.Option(help="Names of variants joined by commas; all when not given.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show the runs, what is done and the hours left.")]

RESULTS = Path("experiments/RESULTS.md")


def ablation(
    data: Data = None,
    steps: TrainingSteps = 1500,
    seeds: Seeds = 3,
    out: Report = RESULTS,
    lpips: Lpips = None,
    only: Only = "",
    dry_run: Dry = False,
) -> None:
    """Test the paper's claims: train the method and its variants alike, measure, report; goes on where it was."""
    check_file("--out", out)
    runner = _runner(data, steps, seeds, lpips)
    runs = runner.ablation(_names(only))
    if dry_run:
        get_console().print(runner.table(runs))
        return
    runner.do(runs)
    _report(runner, out)


def peers(
    data: Data = None,
    steps: TrainingSteps = 1500,
    seeds: Seeds = 3,
    out: Report = RESULTS,
    lpips: Lpips = None,
    only: Only = "",
    dry_run: Dry = False,
) -> None:
    """Compare with published networks of equal size, trained on the same samples for as long; goes on where it was."""
    check_file("--out", out)
    runner = _runner(data, steps, seeds, lpips)
    if dry_run:
        get_console().print(runner.table(runner.planned_peers(_names(only))))
        return
    runner.do(runner.peers(_names(only)))
    _report(runner, out)


def _runner(data: str | None, steps: int, seeds: int, lpips: Path | None) -> "Runner":
    """Raises ValueError when what the study needs is not installed."""
    try:
        from defusion.study.plan import Study
        from defusion.study.running import Runner
    except ModuleNotFoundError as error:
        raise ValueError(f"the study needs {error.name}: pip install 'defusion[study]'") from error
    perceptual = None if lpips is None else PerceptualLoss(PerceptualConfig("alex", str(lpips)))
    held_out = Path(data or "") / "val"
    whole = data and held_out.is_dir() and held_out.with_name("train").is_dir()
    return Runner(Study(data or None, steps, seeds), open_clean(str(held_out) if whole else None), perceptual)


def _report(runner: "Runner", out: Path) -> None:
    from defusion.study.report import write_report

    write_report(runner.scores(), out)
    get_console().print(f"wrote {out}")


def _names(only: str) -> list[str]:
    return [name.strip() for name in only.split(",") if name.strip()]
