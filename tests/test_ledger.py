"""What an evaluation has done survives whatever ends it."""

from pathlib import Path

import pytest

from defusion.ledger import Ledger, Row


def row(name: str, psnr: float = 30.0) -> Row:
    return {"name": name, "input": {"psnr": 20.0, "ssim": 0.5}, "restored": {"psnr": psnr, "ssim": 0.9}}


def test_a_second_ledger_goes_on_where_the_first_was(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "one.jsonl", {"task": "gopro"})
    first.add(row("a/1"))
    first.add(row("b", 1 / 3))
    assert Ledger(tmp_path / "one.jsonl", {"task": "gopro"}).rows == {"a/1": row("a/1"), "b": row("b", 1 / 3)}


def test_another_evaluation_begins_anew(tmp_path: Path) -> None:
    Ledger(tmp_path / "one.jsonl", {"task": "gopro", "steps": 1}).add(row("a"))
    assert Ledger(tmp_path / "one.jsonl", {"task": "gopro", "steps": 4}).rows == {}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_off_loses_its_picture_alone(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "one.jsonl"
    ledger = Ledger(file, {})
    ledger.add(row("a"))
    ledger.add(row("b"))
    file.write_bytes(file.read_bytes()[:-cut])
    again = Ledger(file, {})
    assert list(again.rows) == (["a"] if cut > 1 else ["a", "b"])
    again.add(row("b"))
    assert list(Ledger(file, {}).rows) == ["a", "b"]


def test_scores_that_json_has_not_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one.jsonl", {})
    before = ledger.file.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.add(row("a", float("nan")))
    assert ledger.file.read_bytes() == before


def test_a_closed_ledger_is_gone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "one.jsonl", {})
    ledger.add(row("a"))
    ledger.close()
    assert not ledger.file.exists()
