"""The report of the study: a section of a Markdown file, and its figures beside it."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from defusion.evaluation.report import write_text
from defusion.study.claims import PEERS, REFERENCE
from defusion.study.figures import Bar, Step, curves_figure, perception_figure, variants_figure, write_figure
from defusion.study.results import Results
from defusion.study.scores import Scores
from defusion.study.statistics import RESAMPLES, estimate, photographs, tasks_of
from defusion.study.tables import STEPS, claims_table, instructions_table, ours_table, peers_table, steps_table

BEGIN = "<!-- study: written by `make ablation` and `make peers` -->"
END = "<!-- study: end -->"
FIGURES = "figures"
"""Folder of the figures, beside the report."""

_TITLE = "# Results\n"


def write_report(scores: Sequence[Scores], out: Path) -> None:
    """Writes the study's section of a Markdown file, and its figures into `figures/` beside it.

    What stands between the two markers is replaced, the rest of the file is kept; a missing file is made, and
    markers that are missing are added at its end. The figures come first, so that the text never names one that
    is not there.

    Args:
        scores: of every run that has any, each variant and seed once.
        out: the Markdown file.

    Raises:
        ValueError: without scores, for a run that comes twice, or a file with one marker alone.
    """
    if not scores:
        raise ValueError("scores: expected those of at least one run, got none; measure a trained network first")
    results = Results(scores)
    text = out.read_text(encoding="utf-8") if out.exists() else _TITLE
    figures = _figures(results)
    whole = replaced(text, section(results, tuple(figures)), out)
    for name, figure in figures.items():
        write_figure(figure, out.parent / FIGURES / f"{name}.png")
    write_text(out, whole)


def section(results: Results, figures: Sequence[str]) -> str:
    """The text between the markers.

    Args:
        results: all that was measured.
        figures: which of them there are: "variants", "steps", "peers".
    """
    parts = (
        ("The claims, tested", claims_table(results), "variants"),
        ("The variants", ours_table(results), ""),
        ("Sampling steps", steps_table(results), "steps"),
        ("Instructions and generalisation", instructions_table(results), ""),
        ("Peers at equal size and time", peers_table(results), "peers"),
    )
    blocks = ["## Ablation study", _protocol(results)]
    for title, table, figure in parts:
        if table:
            blocks += [f"### {title}", table]
        if figure in figures:
            blocks.append(f"![{title}]({FIGURES}/{figure}.png)")
    return "\n\n".join(blocks)


def replaced(text: str, own: str, path: Path) -> str:
    """The text of a file with the study's section in its place.

    Raises:
        ValueError: for a file with one marker alone, or with the end before the beginning.
    """
    block = f"{BEGIN}\n\n{own}\n\n{END}"
    if BEGIN not in text and END not in text:
        return f"{text.rstrip()}\n\n{block}\n".lstrip("\n")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: expected {BEGIN} and then {END}, got one of them alone; remove it")
    return before + block + after


def _protocol(results: Results) -> str:
    """How it was measured, and how to read the tables."""
    seeds = results.measured(next(iter(results.variants)))
    tasks = tasks_of(seeds)
    every = sorted({seed for runs in results.variants.values() for seed in runs})
    runs = [run for name, own in results.variants.items() if name not in PEERS for run in own.values()]
    steps = sorted({run.train_steps for run in runs})
    lpips = "" if "lpips" in results.metrics else " LPIPS was not measured."
    return (
        f"{len(photographs(seeds, tasks))} photographs under {', '.join(tasks)}; seeds {', '.join(map(str, every))}; "
        f"{' or '.join(f'{own:,}' for own in steps) or 'equal'} training steps a variant. "
        "Scores are means over seeds, over the photographs of each task, then over tasks; weather: derain, dehaze and "
        "desnow. [ ]: 95% interval, "
        f"bootstrap over photographs ({RESAMPLES:,} resamples; those of differences are paired); ±: spread over seeds, "
        "the standard deviation of three or more, the range of two. A claim is supported or contradicted where the "
        "interval of the difference excludes zero, which says nothing of other seeds: compare the spread. PSNR in dB "
        f"and SSIM: higher is better; LPIPS: lower is better.{lpips} The paper's rows (Table 5: mean of derain, dehaze "
        "and desnow) are of its own data, size and test sets: compare the signs and the order of differences alone."
    )


def _figures(results: Results) -> dict[str, Figure]:
    """Name -> figure, of those that something was measured for."""
    figures = {}
    bars = []
    for own in results.tested:
        found = {name: results.difference(own.variant, own.reference, "psnr", of) for name, of in results.means.items()}
        bars.append(Bar(own.variant, own.reference, found))
    if bars:
        figures["variants"] = variants_figure(bars)
    if steps := _steps(results):
        figures["steps"] = perception_figure(steps)
    runs = {name: results.variants.get(name, {}).values() for name in (REFERENCE, *PEERS)}
    seeds = {name: [run.curve for run in own if run.curve] for name, own in runs.items()}
    curves = {name: own for name, own in seeds.items() if own}
    if set(curves) & set(PEERS):
        figures["peers"] = curves_figure(curves)
    return figures


def _steps(results: Results) -> list[Step]:
    """The reference's scores by sampling steps; none without LPIPS."""
    if "lpips" not in results.metrics:
        return []
    found = []
    for name in results.named(*STEPS):
        seeds = results.measured(REFERENCE, name)
        own, tasks = next(iter(seeds.values())), tasks_of(seeds)
        psnr, lpips = (estimate(seeds, metric, tasks).value for metric in ("psnr", "lpips"))
        found.append(Step(own.sampler, own.steps, psnr, lpips))
    return found
