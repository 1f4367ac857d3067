"""The paper's rows: equal to the shared file, and found by the names of the test sets."""

import os
from csv import DictReader
from pathlib import Path

import pytest

from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.evaluation.paper import OWN_PROTOCOL, ROWS, Published, best, published

SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))


def test_the_rows_are_those_of_the_shared_tables() -> None:
    file = SHARED / "paper" / "tables.csv"
    if not file.is_file():
        pytest.skip(f"no tables at {file}")
    expected = set()
    with file.open(newline="", encoding="utf-8") as text:
        for row in DictReader(text):
            if row["table"] == "5":  # the paper's ablation, no test set
                continue
            mixed = f" {row['task']}" if row["task"].startswith("mixed:") else ""
            kind = "ours" if row["method"] == "Defusion" else row["kind"]
            lpips = float(row["lpips"]) if row["lpips"] else None
            numbers = float(row["psnr"]), float(row["ssim"]), lpips
            expected.add((int(row["table"]), row["dataset"] + mixed, row["method"], kind, *numbers))
    found = [(row.table, row.dataset, row.method, row.kind, row.psnr, row.ssim, row.lpips) for row in ROWS]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_every_test_set_of_the_paper_has_its_rows() -> None:
    keys = {benchmark.published for benchmark in BENCHMARKS.values() if benchmark.published}
    assert keys == {row.dataset for row in ROWS if not row.dataset.startswith("WED")}  # its strengths are not public
    for key in keys:
        rows = published(key)
        assert [row.method for row in rows if row.kind == "ours"] == ["Defusion"]
        assert {row.dataset for row in rows} == {key}


def test_an_unknown_test_set_is_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"GoPro, DPDD.*got 'HIDE'"):
        published("HIDE")


def test_the_best_row_is_of_its_kind() -> None:
    rows = published("DPDD")
    assert best(rows, "all-in-one") == Published(1, "DPDD", "NAFNet*", "all-in-one", 28.21, 0.892)
    assert best(rows, "task-specific") == Published(1, "DPDD", "FocalNet", "task-specific", 26.18, 0.808)
    assert best(rows, "ours") == Published(1, "DPDD", "Defusion", "ours", 29.68, 0.922)
    assert best(published("TURBID"), "task-specific") is None
    equal = [Published(1, "x", name, "all-in-one", 30.0, 0.9) for name in ("first", "second")]
    assert best(equal, "all-in-one") is equal[0]


def test_the_warning_quotes_the_rows() -> None:
    numbers = {row.method: row.psnr for row in published("DPDD")}
    assert f"Restormer* has {numbers['Restormer*']:.2f} dB" in OWN_PROTOCOL
    assert f"as published {numbers['Restormer']:.2f} dB" in OWN_PROTOCOL
