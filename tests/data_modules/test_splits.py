"""The held-out share is stable, disjoint from the rest, and never empty."""

import pytest

from data_modules.splits import hold_out


def test_a_tenth_is_held_out_and_the_two_sides_share_nothing() -> None:
    names = [f"{number:05}.jpg" for number in range(5000)]
    train, val = hold_out(names, "train"), hold_out(names, "val")
    assert sorted(train + val) == list(range(5000))
    assert 400 < len(val) < 600


def test_new_pictures_do_not_move_old_ones() -> None:
    names = [f"{number}.png" for number in range(300)]
    held_out = {names[position] for position in hold_out(names[:200], "val")}
    later = {names[position] for position in hold_out(names, "val")}
    assert held_out == later & set(names[:200])


@pytest.mark.parametrize("count", range(2, 12))
def test_small_sets_have_both_sides(count: int) -> None:
    names = [f"{count}-{number}" for number in range(count)]
    assert hold_out(names, "train")
    assert hold_out(names, "val")


def test_one_picture_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 2 pictures"):
        hold_out(["a.png"], "train")
