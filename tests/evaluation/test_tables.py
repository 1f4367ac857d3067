"""Tables: the same cells everywhere, and no stand-in or subset beside the paper's rows."""

import io
import re
from collections.abc import Sequence
from csv import DictReader
from dataclasses import replace

import pytest
from rich.console import Console

from defusion.evaluation.outcome import Measured, Outcome
from defusion.evaluation.paper import OWN_PROTOCOL, ROWS
from defusion.evaluation.tables import csv, footnotes, markdown, overview, sections
from tests.evaluation.outcomes import NOT_COMPARABLE, OTHER, STANDIN, SUBSET, SURPLUS, WHOLE, made

METHODS = {row.method for row in ROWS}


def printed(outcomes: Sequence[Outcome], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(overview(outcomes))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_has_input_ours_and_gain() -> None:
    measured, compared = sections([WHOLE])
    assert measured.rows == (("gopro", "whole", "3", "20.00", "0.5000", "21.42", "0.7500", "+1.42"),)
    assert compared.rows == (
        (
            *("gopro", "21.42 / 0.750", "34.53 / 0.966", "MPerceiver 32.49 / 0.959", "DiffIR 33.20 / 0.963"),
            "-11.07 / -0.209",
        ),
    )
    (turbid,) = sections([made(expected=3, published="TURBID")])[1].rows
    assert turbid[4] == "none"


def test_several_tests_have_their_mean_gain_above() -> None:
    others = [made((1.0, 2.0)), made((2.0,))]
    assert sections(others)[0].title == "Measured: mean gain of 2 tests +1.75 dB"
    assert sections([others[0]])[0].title == "Measured"


def test_labels_and_counts() -> None:
    (measured,) = sections(NOT_COMPARABLE)
    assert [row[1:3] for row in measured.rows] == [
        ("stand-in", "3"),
        ("subset", "3 of 76"),
        ("other number of pictures", "3 of 2"),
        ("as given", "3"),
        ("number not fixed", "3"),
        ("oracle", "3"),
        ("parameter-matched", "3"),
    ]


@pytest.mark.parametrize("outcome", NOT_COMPARABLE, ids=lambda own: own.task)
def test_what_is_not_comparable_never_stands_beside_the_papers_rows(outcome: Outcome) -> None:
    for text in (printed([outcome]), markdown([outcome])):
        assert not any(re.search(rf"\b{re.escape(method)}", text) for method in METHODS)
        assert "paper" not in text
        assert all(label in text for label in outcome.labels)
    measured, compared = sections([outcome, WHOLE])
    assert [row[0] for row in measured.rows] == [outcome.task, "gopro"]
    assert [row[0] for row in compared.rows] == ["gopro"]
    for text in (printed([outcome, WHOLE], 200), markdown([outcome, WHOLE])):
        beside = [line for line in text.splitlines() if any(method in line for method in ("MPerceiver", "DiffIR"))]
        assert beside
        assert not any(outcome.task in line for line in beside)


def test_each_protocol_is_printed_and_the_papers_once() -> None:
    outcomes = [WHOLE, made(task="lhp", published="LHP", protocol="SSIM y"), STANDIN]
    notes = footnotes(outcomes)
    assert len(notes) == 4
    assert "SSIM 3d" in notes[0]
    assert "SSIM y" in notes[1]
    assert "[stand-in: not comparable with published rows]" in notes[2]
    assert notes[3] == OWN_PROTOCOL
    flat = " ".join(printed(outcomes).split())
    assert all(note in flat for note in notes)
    assert markdown(outcomes).count("differs from that of the rows it copied") == 1
    assert OWN_PROTOCOL not in footnotes(NOT_COMPARABLE)


def test_further_metrics_are_noted() -> None:
    image = Measured("a", {"psnr": 20, "ssim": 0.5, "ssim_y": 0.625}, {"psnr": 21, "ssim": 0.5, "ssim_y": 0.75})
    assert (
        "Also measured, input -> ours: ssim_y 0.6250 -> 0.7500."
        in footnotes([replace(WHOLE, per_image=(image,) * 3)])[0]
    )


def test_the_terminal_has_room_for_every_number_in_80_columns() -> None:
    long = made(task="wed_mixed_rain_noise_snow", published="WED mixed:rain>noise>snow")
    text = printed([long, WHOLE, STANDIN, SUBSET, SURPLUS, OTHER])
    assert max(map(len, text.splitlines())) <= 80
    for number in ("21.42", "0.5000", "0.7500", "+1.42", "34.53", "MPerceiver 32.49", "DiffIR 33.20", "-11.07"):
        assert number in text


def test_markdown_has_one_number_of_cells_in_each_table() -> None:
    odd = made(task="a|b <i>*c*</i>\n", dataset="d|*e*_f_", expected=3)
    text = markdown([WHOLE, odd, SUBSET])
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table) for table in tables] == [2 + 3, 2 + 2]
    for table, width in zip(tables, (8, 6), strict=True):
        assert [len(re.split(r"(?<!\\)\|", line)) - 2 for line in table] == [width] * len(table)
        assert all(re.fullmatch(r" -+:? ", cell) for cell in table[1].strip("|").split("|"))
    assert r"a\|b &lt;i&gt;\*c\*&lt;/i&gt;" in tables[0][3]
    assert not re.search(r"(?<!\\)\*", text.replace("**", ""))


def test_csv_has_a_row_a_picture_and_keeps_all_digits() -> None:
    scores = {"psnr": 20.1, "ssim": 1 / 3, "mae": 1e-7}
    timed = Measured('odd, "name"\n', scores, scores | {"psnr": 24.3}, 0.5)
    untimed = Measured("plain", scores, scores)
    outcomes = [WHOLE, replace(OTHER, per_image=(timed, untimed))]
    rows = list(DictReader(io.StringIO(csv(outcomes), newline="")))
    images = [(own, image) for own in outcomes for image in own.per_image]
    assert len(rows) == len(images) == 5
    for row, (own, image) in zip(rows, images, strict=True):
        assert (row["task"], row["dataset"], row["name"]) == (own.task, own.dataset, image.name)
        assert (row["standin"], row["subset"]) == ("False", "False")
        assert row["seconds"] == ("" if image.seconds is None else str(image.seconds))
        assert float(row["gain"]) == image.gain
        for side, values in (("input", image.input), ("restored", image.restored)):
            for metric in ("psnr", "ssim", "mae"):
                assert row[f"{side}_{metric}"] == (str(values[metric]) if metric in values else "")
    assert next(DictReader(io.StringIO(csv([STANDIN]))))["standin"] == "True"
    assert next(DictReader(io.StringIO(csv([SUBSET]))))["subset"] == "True"
