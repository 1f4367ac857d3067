"""One HTML file that shows outcomes: tables, the gain of every picture, and the worst, median and best pictures."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from defusion.evaluation.outcome import Measured, Outcome
from defusion.evaluation.page_chart import gain_chart
from defusion.evaluation.page_pictures import Box, Embedded, choose, embed, groups
from defusion.evaluation.page_style import SCRIPT, STYLE
from defusion.evaluation.paper import OWN_PROTOCOL
from defusion.evaluation.report import write_text
from defusion.evaluation.tables import AS_GIVEN, Column, Section, images, sections

Pictures: TypeAlias = Callable[[Outcome, int], tuple[Tensor, Tensor, Tensor]]
"""lq, restored and hq of a picture by its position in `Outcome.per_image`, (3, H, W) each in [0, 1]."""

MAX_CHARS = 9_000_000
"""For all embedded pictures, so that the file stays below about 10 MB."""

_MANY = 12
"""With more outcomes than this, one picture a group is shown, not three."""

_SIDES = ("input", "restored", "reference")


def write_page(path: Path | str, outcomes: Sequence[Outcome], pictures: Pictures, title: str = "Restoration") -> None:
    """Writes the page, whole or not at all. It needs no other file and no network, and follows the reader's theme.

    Args:
        path: of the HTML file.
        outcomes: at least one.
        pictures: gives the pictures that are shown; asked once for each.
        title: of the page.

    Raises:
        ValueError: without an outcome, or for pictures that are not of one shape.
    """
    if not outcomes:
        raise ValueError("outcomes: expected at least one, got none")
    each = 3 if len(outcomes) <= _MANY else 1
    budget = MAX_CHARS // sum(len(choose(outcome, each)) for outcome in outcomes)
    body = [_head(outcomes, title)]
    for number, outcome in enumerate(outcomes):
        body.append(_outcome(outcome, number, each, lambda own, place: embed(*pictures(own, place), budget)))
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + f"\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
    )


def _head(outcomes: Sequence[Outcome], title: str) -> str:
    count = sum(outcome.num_images for outcome in outcomes)
    sets = "1 test set" if len(outcomes) == 1 else f"{len(outcomes)} test sets"
    tables = "\n".join(_table(section, outcomes) for section in sections(outcomes))
    note = f"<p class='quiet'>{escape(OWN_PROTOCOL)}</p>" if any(own.comparable for own in outcomes) else ""
    return (
        f"<h1>{escape(title)}</h1>\n<p class='quiet'>{sets}, {count} pictures; means of per-picture values. "
        f"How each set is scored stands at its end.</p>\n<section class='summary'>\n{tables}\n{note}</section>"
    )


def _table(section: Section, outcomes: Sequence[Outcome]) -> str:
    head = "".join(f"<th scope='col'{_align(column)}>{escape(column.name)}</th>" for column in section.columns)
    rows = []
    for cells, outcome in zip(section.rows, section.outcomes, strict=True):
        place = next(number for number, own in enumerate(outcomes) if own is outcome)
        first = f"<th scope='row'><a href='#set-{place}'>{escape(cells[0])}</a></th>"
        rest = "".join(map(_cell, cells[1:], section.columns[1:]))
        rows.append(f"<tr>{first}{rest}</tr>")
    return (
        f"<div class='scroll'><table><caption>{escape(section.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(text: str, column: Column) -> str:
    if column.name == "set" and text not in ("whole", AS_GIVEN):
        return f"<td><span class='label'>{escape(text)}</span></td>"
    sign = {"+": " plus", "-": " minus"}.get(text[0], "")
    return f"<td class='{'number' if column.numeric else 'text'}{sign}'>{escape(text)}</td>"


def _align(column: Column) -> str:
    return " class='number'" if column.numeric else ""


def _outcome(outcome: Outcome, number: int, each: int, embedded: Callable[[Outcome, int], Embedded]) -> str:
    parts = [f"<section id='set-{number}'>\n<h2>{escape(outcome.task)}</h2>\n<p>{escape(outcome.dataset)}</p>"]
    if outcome.labels:
        parts.append(f"<p class='warning'>{escape(_warning(outcome))}</p>")
    parts.append(_scores(outcome))
    if outcome.num_images > 1:
        parts.append(gain_chart(outcome, choose(outcome, each)))
    for name, places in groups(outcome, each).items():
        parts.append(f"<h3>{name.capitalize()}{'' if outcome.num_images > 1 else ': the only picture'}</h3>")
        parts += [_picture(outcome.per_image[place], place, embedded(outcome, place)) for place in places]
    return "\n".join([*parts, _facts(outcome), "</section>"])


def _warning(outcome: Outcome) -> str:
    reasons = {
        "stand-in": "Stand-in: other pictures than the test set's were restored.",
        "subset": f"Subset: {images(outcome)} pictures of the test set were restored.",
        "number not fixed": "The number of pictures of this test set is not fixed, so these may not be all.",
        "parameter-matched": "Parameter-matched: the instruction shows the very parameters of each picture.",
        "oracle": "Oracle: the instruction was fitted to each picture and its reference.",
        "other number of pictures": f"Other number of pictures than the test set has: {images(outcome)}.",
    }
    return " ".join([*(reasons[label] for label in outcome.labels), "Not comparable with published results."])


def _scores(outcome: Outcome) -> str:
    before, after = outcome.input, outcome.restored
    pairs = [("gain in PSNR", f"{outcome.gain:+.2f} <small>dB</small>")]
    for name in before:
        digits = 2 if name.startswith("psnr") else 4
        unit = " <small>dB</small>" if name.startswith("psnr") else ""
        change = f"<small>{before[name]:.{digits}f} &rarr;</small> {after[name]:.{digits}f}{unit}"
        pairs.append((name.replace("_", " ").upper(), change))
    pairs.append(("pictures", images(outcome)))
    if outcome.seconds is not None:
        pairs.append(("time per picture", f"{outcome.seconds:.3g} <small>s</small>"))
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f"<dl class='scores'>{items}</dl>"


def _facts(outcome: Outcome) -> str:
    facts = {
        "protocol": escape(outcome.protocol),
        "instruction": escape(outcome.instruction),
        "pictures": escape(outcome.layout),
        "sampling": f"steps: {outcome.steps}, seed: {outcome.seed}",
        "weights": f"<code>{escape(outcome.weights)}</code>, sha256 <code>{escape(outcome.sha256)}</code>",
    }
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items())
    return f"<dl class='facts'>{items}</dl>"


def _picture(image: Measured, place: int, shown: Embedded) -> str:
    before, after = image.input, image.restored
    name = escape(image.name)
    sign = "plus" if image.gain >= 0 else "minus"
    size = f"width='{shown.width}' height='{shown.height}' draggable='false'"
    lq, restored, hq = (f"src='{uri}' alt='{side}' {size}" for side, uri in zip(_SIDES, shown.whole, strict=True))
    spot = _spot(shown)
    return (
        f"<article class='picture' data-picture='{place}'>\n<header><p><code>{name}</code></p>"
        f"<p>PSNR {before['psnr']:.2f} &rarr; {after['psnr']:.2f} dB</p>"
        f"<p>SSIM {before['ssim']:.4f} &rarr; {after['ssim']:.4f}</p>"
        f"<p class='gain {sign}'>{image.gain:+.2f} dB</p></header>\n"
        f"<div class='pair'><div class='frame compare'><img {restored}><img class='before' {lq}>{spot}"
        f"<span class='divider'></span><span class='chip left'>input</span><span class='chip right'>restored</span>"
        f"<input type='range' min='0' max='100' step='1' value='50' "
        f"aria-label='{name}: how much of the input is shown, from the left'></div>\n"
        f"<div class='frame'><img {hq}>{spot}<span class='chip left'>reference</span></div></div>\n"
        f"{_crops(shown)}</article>"
    )


def _crops(shown: Embedded) -> str:
    box = shown.box
    figures = "".join(
        f"<figure><img src='{uri}' alt='{side}, crop' width='{box.width}' height='{box.height}'>"
        f"<figcaption>{side}</figcaption></figure>"
        for side, uri in zip(_SIDES, shown.crops, strict=True)
    )
    return (
        f"<div class='crops'>{figures}<p class='place'>Framed above: the {box.width}x{box.height} px with the largest "
        f"remaining error, at ({box.left}, {box.top}) of {shown.width}x{shown.height}.</p></div>\n"
    )


def _spot(shown: Embedded) -> str:
    box: Box = shown.box
    across = (("left", box.left, shown.width), ("width", box.width, shown.width))
    down = (("top", box.top, shown.height), ("height", box.height, shown.height))
    style = ";".join(f"{name}:{100 * part / whole:.2f}%" for name, part, whole in (*across, *down))
    return f"<span class='spot' style='{style}'></span>"
