"""Outcomes as tables: on the terminal, in Markdown, as CSV; the page takes the same cells."""

from collections.abc import Iterator, Sequence
from csv import DictWriter
from dataclasses import dataclass
from html import escape
from io import StringIO
from statistics import fmean
from typing import Any

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from defusion.evaluation.outcome import Outcome
from defusion.evaluation.paper import OWN_PROTOCOL, Kind, Published, best, published

AS_GIVEN = "as given"
"""The set of pictures of a test that has no number of its own, such as a degradation of any pictures."""

NOTHING = "none"
"""Stands in a cell where the paper has no row."""

_SIGN_STYLES = {"+": "green", "-": "red"}


@dataclass(frozen=True)
class Column:
    """The head of a column, and whether numbers stand below it."""

    name: str
    numeric: bool = True


@dataclass(frozen=True)
class Section:
    """One table of text cells, a row an outcome."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    outcomes: tuple[Outcome, ...]
    """Of the rows."""


_MEASURED = (
    Column("task", numeric=False),
    Column("set", numeric=False),
    Column("images"),
    Column("input PSNR"),
    Column("input SSIM"),
    Column("ours PSNR"),
    Column("ours SSIM"),
    Column("gain dB"),
)
_COMPARED = (
    Column("task", numeric=False),
    Column("ours"),
    Column("Defusion (paper)"),
    Column("best all-in-one"),
    Column("best task-specific"),
    Column("ours over all-in-one"),
)


def sections(outcomes: Sequence[Outcome]) -> tuple[Section, ...]:
    """What was measured; then, in a table of its own, the whole test sets of the paper beside its rows.

    Stand-ins and subsets are labelled in the first and never stand in the second. In the second, cells are
    "method PSNR / SSIM".
    """
    gain = fmean(outcome.gain for outcome in outcomes)
    head = "Measured" if len(outcomes) == 1 else f"Measured: mean gain of {len(outcomes)} tests {gain:+.2f} dB"
    measured = Section(head, _MEASURED, tuple(map(_measured, outcomes)), tuple(outcomes))
    whole = tuple(outcome for outcome in outcomes if outcome.comparable)
    if not whole:
        return (measured,)
    title = "Beside the paper's rows (PSNR / SSIM)"
    return (measured, Section(title, _COMPARED, tuple(map(_compared, whole)), whole))


def footnotes(outcomes: Sequence[Outcome]) -> list[str]:
    """A paragraph an outcome, with its protocol and what else it depends on; last, what to know of the paper's rows."""
    notes = [_footnote(outcome) for outcome in outcomes]
    return [*notes, OWN_PROTOCOL] if any(outcome.comparable for outcome in outcomes) else notes


def overview(outcomes: Sequence[Outcome]) -> Group:
    """The tables and their footnotes for a rich console, fit for 80 columns."""
    parts: list[Table | Text] = [*map(_rich, sections(outcomes)), *map(Text, footnotes(outcomes))]
    return Group(*(Padding(part, (1, 0, 0, 0)) for part in parts))


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The tables and their footnotes in GitHub's Markdown."""
    parts = []
    for section in sections(outcomes):
        head = [column.name for column in section.columns]
        rule = ["---:" if column.numeric else "---" for column in section.columns]
        rows = [[_literal(cell) for cell in row] for row in section.rows]
        lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
        parts += [f"**{section.title}**", "\n".join(lines)]
    return "\n\n".join([*parts, *map(_literal, footnotes(outcomes))]) + "\n"


def csv(outcomes: Sequence[Outcome]) -> str:
    """A row a picture: what was evaluated and how, name, input_*, restored_*, gain, seconds.

    A metric that a test set is not scored by, or a time not taken, is an empty field; floats keep all their digits.
    """
    metrics = dict.fromkeys(metric for outcome in outcomes for metric in outcome.per_image[0].input)
    scores = [f"{side}_{metric}" for side in ("input", "restored") for metric in metrics]
    out = StringIO()
    seen = ["shown"] if any(outcome.named is not None for outcome in outcomes) else []
    fields = [*_csv_common(outcomes[0]), "name", *scores, "gain", "seconds", *seen]
    writer = DictWriter(out, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for outcome in outcomes for row in _csv_rows(outcome))
    return out.getvalue()


def _measured(outcome: Outcome) -> tuple[str, ...]:
    before, after = outcome.input, outcome.restored
    return (
        outcome.task,
        ", ".join(outcome.labels) or ("whole" if outcome.expected else AS_GIVEN),
        images(outcome),
        *(text for side in (before, after) for text in (f"{side['psnr']:.2f}", f"{side['ssim']:.4f}")),
        f"{outcome.gain:+.2f}",
    )


def images(outcome: Outcome) -> str:
    """The number of pictures, "12 of 1400" where it is not that of the test set."""
    stated = outcome.expected is not None and not outcome.standin and outcome.expected != outcome.num_images
    return f"{outcome.num_images} of {outcome.expected}" if stated else str(outcome.num_images)


def _compared(outcome: Outcome) -> tuple[str, ...]:
    assert outcome.published is not None
    assert outcome.comparable
    rows = published(outcome.published)
    kinds: tuple[Kind, ...] = ("ours", "all-in-one", "task-specific")
    own, general, specific = (best(rows, kind) for kind in kinds)
    after = outcome.restored
    return (
        outcome.task,
        f"{after['psnr']:.2f} / {after['ssim']:.3f}",
        NOTHING if own is None else f"{own.psnr:.2f} / {own.ssim:.3f}",
        _row(general),
        _row(specific),
        NOTHING if general is None else f"{after['psnr'] - general.psnr:+.2f} / {after['ssim'] - general.ssim:+.3f}",
    )


def _row(row: Published | None) -> str:
    return NOTHING if row is None else f"{row.method} {row.psnr:.2f} / {row.ssim:.3f}"


def _footnote(outcome: Outcome) -> str:
    labels = f" [{', '.join(outcome.labels)}: not comparable with published rows]" if outcome.labels else ""
    before, after = outcome.input, outcome.restored
    digits = {name: 2 if name.startswith("psnr") else 4 for name in before if name not in ("psnr", "ssim")}
    more = [f"{name} {before[name]:.{own}f} -> {after[name]:.{own}f}" for name, own in digits.items()]
    also = f" Also measured, input -> ours: {', '.join(more)}." if more else ""
    if outcome.named is not None and outcome.surest is not None:
        also += (
            f" Named exactly: {outcome.named:.1%} of the pictures; the surest name is right in {outcome.surest:.1%}."
        )
    return (
        f"{outcome.task}{labels}: {outcome.dataset}. {outcome.protocol.rstrip('.')}.{also} "
        f"Pictures: {outcome.layout}. Instruction: {outcome.instruction}; steps: {outcome.steps}; "
        f"seed: {outcome.seed}; weights: {outcome.weights} (sha256 {outcome.sha256[:12]})."
    )


def _rich(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(section.columns):
        head = "\n".join(column.name.rsplit(maxsplit=1))
        table.add_column(head, justify="right" if column.numeric else "left", no_wrap=number > 0, overflow="fold")
    for row, outcome in zip(section.rows, section.outcomes, strict=True):
        cells = [Text(cell.replace(" / ", "\n")) for cell in row]
        cells[-1].stylize(_SIGN_STYLES.get(row[-1][0], ""))
        if outcome.labels:
            cells[1].stylize("bold yellow")
        table.add_row(*cells)
    return table


def _literal(text: str) -> str:
    """Text whose signs mean nothing to Markdown: no cell ends, no tag begins, no star emphasises."""
    plain = escape(" ".join(text.split()), quote=False).replace("\\", "\\\\")
    for sign in "|*_`[]~":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def _csv_common(outcome: Outcome) -> dict[str, Any]:
    names = ("task", "dataset", "standin", "subset", "oracle", "instruction", "steps", "seed", "sha256")
    return {name: getattr(outcome, name) for name in names}


def _csv_rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    common = _csv_common(outcome)
    for image in outcome.per_image:
        sides = (("input", image.input), ("restored", image.restored))
        scores = {f"{side}_{metric}": value for side, own in sides for metric, value in own.items()}
        known = {name: getattr(image, name) for name in ("seconds", "shown") if getattr(image, name) is not None}
        yield common | {"name": image.name} | scores | {"gain": image.gain} | known
