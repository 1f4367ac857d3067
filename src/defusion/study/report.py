"""The report of the study: a section of a Markdown file, and its figures beside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from defusion.evaluation.report import write_text
from defusion.study import words
from defusion.study.claims import PEERS, REFERENCE
from defusion.study.figures import Bar, Step, curves_figure, perception_figure, variants_figure, write_figure
from defusion.study.results import Results
from defusion.study.scores import Scores
from defusion.study.tables import (
    STEPS,
    claims_table,
    generalising_table,
    matched_table,
    ours_table,
    peers_table,
    steps_table,
)

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
        ("The claims, tested", "", claims_table(results), "variants"),
        ("The variants", "", ours_table(results), ""),
        ("Sampling steps", words.STEPS, steps_table(results), "steps"),
        ("Type- and parameter-matched instructions", words.MATCHED, matched_table(results), ""),
        ("Generalisation", words.GENERALISATION, generalising_table(results), ""),
        ("Peers", words.peers(results), peers_table(results), "peers"),
    )
    blocks = ["## Ablation study", words.provenance(results), words.reading(results)]
    for title, about, table, figure in parts:
        if table:
            blocks += [f"### {title}", *([about] if about else []), table]
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


def _figures(results: Results) -> dict[str, Figure]:
    """Name -> figure, of those that something was measured for."""
    figures = {}
    bars = [
        Bar(own.variant, own.reference, results.difference(own.variant, own.reference, "psnr"))
        for own in results.tested
    ]
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
    """The reference's scores by sampling steps, one step under both samplers; none without LPIPS."""
    if "lpips" not in results.metrics:
        return []
    found = []
    for name in results.named(REFERENCE, *STEPS):
        own = next(iter(results.measured(REFERENCE, name).values()))
        psnr, lpips = (results.values(REFERENCE, metric, name=name).estimate().value for metric in ("psnr", "lpips"))
        found.append(Step(own.sampler, own.steps, psnr, lpips))
    samplers = dict.fromkeys(own.sampler for own in found)
    one = next((own for own in found if own.steps == 1), None)
    missing = [sampler for sampler in samplers if not any((own.sampler, own.steps) == (sampler, 1) for own in found)]
    return found + ([replace(one, sampler=sampler) for sampler in missing] if one else [])
