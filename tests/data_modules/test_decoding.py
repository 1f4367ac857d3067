"""The store decodes once within its budget and replaces what is broken."""

import logging
import pickle

import numpy as np
import pytest

from data_modules.decoding import PictureStore
from defusion.imageio import ImageError, Picture

SIDE = 4
SIZE = SIDE * SIDE * 3


class Shelf:
    """Pictures filled with their position; those at `broken` cannot be decoded."""

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.broken = broken
        self.calls: list[int] = []

    def __call__(self, position: int) -> tuple[Picture, ...]:
        self.calls.append(position)
        if position in self.broken:
            raise ImageError(f"{position}.png", "damaged")
        return (np.full((SIDE, SIDE, 3), position, np.uint8),)


def test_pictures_are_decoded_once_within_the_budget_and_each_time_beyond() -> None:
    shelf = Shelf()
    store = PictureStore(shelf, 3, cache_bytes=2 * SIZE)
    for _ in range(3):
        assert [store[position][0][0, 0, 0] for position in range(3)] == [0, 1, 2]
    assert shelf.calls == [0, 1, 2, 2, 2]


@pytest.mark.fault
def test_a_broken_picture_is_replaced_by_the_next_sound_one_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf(broken=(1, 2, 4))
    store = PictureStore(shelf, 5, cache_bytes=0)
    with caplog.at_level(logging.WARNING):
        first = [int(store[position][0][0, 0, 0]) for position in range(5)]
        again = [int(store[position][0][0, 0, 0]) for position in reversed(range(5))]
    assert first == [0, 3, 3, 3, 0]
    assert again == first[::-1]
    assert store.num_broken == 3
    assert len(caplog.records) == 1
    assert "1.png: damaged" in caplog.text
    assert [shelf.calls.count(position) for position in shelf.broken] == [1, 1, 1]


@pytest.mark.fault
def test_when_all_are_broken_an_error_says_so() -> None:
    with pytest.raises(ImageError, match="all 2 pictures: none can be decoded"):
        PictureStore(Shelf(broken=(0, 1)), 2)[0]


def test_positions_outside_are_refused() -> None:
    store = PictureStore(Shelf(), 2)
    for position in (-1, 2):
        with pytest.raises(IndexError, match="expected 0 to 1"):
            store[position]


def test_a_pickled_store_leaves_its_cache_behind() -> None:
    store = PictureStore(Shelf(), 2)
    small = len(pickle.dumps(store))
    before = store[1][0]
    copy = pickle.loads(pickle.dumps(store))
    assert len(pickle.dumps(store)) < small + SIZE
    np.testing.assert_array_equal(copy[1][0], before)
