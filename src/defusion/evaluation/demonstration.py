"""The demonstration: every degradation on held-out photographs, as a table, JSON and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image as Picture
from rich import get_console
from rich.progress import track
from torch import Tensor

from defusion.evaluation.obedience import mean_square, relative_rms
from defusion.evaluation.report import results_as_dict, summary_table, write_json
from defusion.evaluation.scoring import TaskMetrics, TaskResult
from defusion.evaluation.testset import Sample, TestSet
from defusion.files import replacing
from defusion.instruction import NULL
from defusion.restore.restorer import Restorer
from defusion.sheets import Cell, contact_sheet

STEPS = (1, 4)


def demonstrate(restorer: Restorer, tests: Mapping[str, TestSet], out: Path, seed: int = 0) -> None:
    """Restores every degradation in one and in four steps; keeps the better number of steps, the same for all.

    Prints the table with the obedience to the null instruction, and writes `results.json` and
    `gallery.png` (lq | restored | target, one row a degradation).

    Args:
        restorer: the model.
        tests: for each degradation, held-out photographs under it.
        out: folder to write to.
        seed: of the diffusion noise and of the instructions.
    """
    pairs = {task: [test[number] for number in range(len(test))] for task, test in tests.items()}
    work = [(steps, task) for steps in STEPS for task in tests]
    results: dict[int, dict[str, TaskResult]] = {steps: {} for steps in STEPS}
    restored: dict[tuple[int, str], Sequence[Tensor]] = {}
    for steps, task in track(work, "restoring", console=get_console()):
        shown = restorer.instruction(task, seed)
        restored[steps, task] = [restorer(pair.lq, shown, steps=steps, seed=seed).image for pair in pairs[task]]
        results[steps][task] = _score(tests[task], pairs[task], restored[steps, task])
    best = max(STEPS, key=lambda steps: mean_gain(results[steps]))
    null = null_change(restorer, pairs, {task: restored[best, task] for task in tests}, best, seed)
    console = get_console()
    console.print(summary_table(results[best], f"Held-out photographs, {best} step(s)"))
    for steps in STEPS:
        console.print(f"mean gain in {steps} step(s): {mean_gain(results[steps]):+.2f} dB")
    mean_null = sum(null.values()) / len(null)
    console.print(f"null instruction: {mean_null:.1%} of the change (RMS) with the right one, mean over tasks")
    summary = {"steps": best, "mean_null_change": mean_null, "null_change": null}
    gains = {"mean_gain": {str(steps): mean_gain(results[steps]) for steps in STEPS}}
    write_json(out / "results.json", results_as_dict(results[best]) | summary | gains)
    with replacing(out / "gallery.png") as partial:
        _gallery(results[best], pairs, {task: restored[best, task] for task in tests}).save(partial, "PNG")
    console.print(f"wrote {out / 'results.json'} and {out / 'gallery.png'}")


def _score(test: TestSet, pairs: Sequence[Sample], restored: Sequence[Tensor]) -> TaskResult:
    metrics = TaskMetrics(protocol=test.benchmark.protocol)
    for pair, picture in zip(pairs, restored, strict=True):
        metrics.update(pair.lq[None], picture[None], pair.hq[None], [test.benchmark.name])
    return metrics.compute()[test.benchmark.name]


def mean_gain(results: dict[str, TaskResult]) -> float:
    """Mean over tasks of the gain in PSNR, dB."""
    return sum(result.psnr_gain for result in results.values()) / len(results)


def null_change(
    restorer: Restorer,
    pairs: dict[str, list[Sample]],
    restored: dict[str, Sequence[Tensor]],
    steps: int,
    seed: int,
) -> dict[str, float]:
    """For each task RMS(null restoration - lq) / RMS(restoration - lq), see `relative_rms`: 0 is perfect obedience."""
    shown = restorer.instruction(NULL, seed)
    ratios = {}
    for task, own in track(pairs.items(), "null instruction", console=get_console()):
        null = [mean_square(restorer(pair.lq, shown, steps=steps, seed=seed).image, pair.lq) for pair in own]
        right = [mean_square(picture, pair.lq) for picture, pair in zip(restored[task], own, strict=True)]
        ratios[task] = relative_rms(null, right)
    return ratios


def _gallery(
    results: dict[str, TaskResult], pairs: dict[str, list[Sample]], restored: dict[str, Sequence[Tensor]]
) -> Picture.Image:
    rows = []
    for number, (task, result) in enumerate(results.items()):
        picture = number % len(pairs[task])
        scores, pair = result.per_image[picture], pairs[task][picture]
        rows.append(
            [
                Cell(pair.lq, f"{task}, lq {scores.input['psnr']:.2f} dB"),
                Cell(restored[task][picture], f"restored {scores.restored['psnr']:.2f} dB"),
                Cell(pair.hq, "target"),
            ]
        )
    return contact_sheet(rows)
