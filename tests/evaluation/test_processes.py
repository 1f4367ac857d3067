"""Several processes share pictures out, each taken once, and say what ended them."""

from collections.abc import Callable, Sequence

import pytest

from defusion.evaluation.ledger import Row
from defusion.evaluation.processes import WorkerError, share_out


def work(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    for number in numbers:
        keep({"name": str(number), "rank": rank})


def fail(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    keep({"name": str(numbers[0]), "rank": rank})
    raise ValueError(f"picture {numbers[-1]} is damaged")


def die(rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
    raise SystemExit(3)


def test_each_number_is_taken_once() -> None:
    rows: list[Row] = []
    share_out(work, [3, 5, 8, 9, 11], 2, rows.append)
    assert sorted(int(row["name"]) for row in rows) == [3, 5, 8, 9, 11]
    assert {row["name"] for row in rows if row["rank"] == 1} == {"5", "9"}


def test_an_error_ends_it_and_what_was_done_is_kept() -> None:
    rows: list[Row] = []
    with pytest.raises(WorkerError, match="picture 7 is damaged"):
        share_out(fail, [7], 2, rows.append)
    assert [row["name"] for row in rows] == ["7"]


def test_a_process_that_dies_is_no_endless_wait() -> None:
    with pytest.raises(WorkerError, match="ended"):
        share_out(die, [1, 2], 2, lambda row: None)
