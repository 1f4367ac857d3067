import os
from pathlib import Path

import numpy as np
import pytest
import torch

from data_modules.benchmark import PairSetError
from data_modules.clean import open_clean
from defusion.imageio import read_image, write_png
from defusion.random import generator


def test_the_embedded_photographs_are_the_held_out_ones() -> None:
    pairs = open_clean(None)
    assert list(pairs.names) == ["chelsea", "coffee"]
    degraded, clean = pairs[0]
    assert degraded is None
    assert clean.dtype == np.uint8


def test_all_pictures_of_a_folder_by_their_paths(tmp_path: Path) -> None:
    for name in ("b", "deep/a", "deep/b"):
        write_png(tmp_path / f"{name}.png", torch.rand(3, 12, 13))
    pairs = open_clean(str(tmp_path))
    assert sorted(pairs.names) == ["b", "deep/a", "deep/b"]
    for name, number in zip(pairs.names, range(3), strict=True):
        assert np.array_equal(pairs[number][1], read_image(tmp_path / f"{name}.png"))


def test_photographs_of_a_training_are_not_measured(tmp_path: Path) -> None:
    """As `open_photos` has it: where there are `train/` and `val/`, the latter is held out."""
    for name in ("train/a", "val/b", "val/deep/c"):
        write_png(tmp_path / f"{name}.png", torch.rand(3, 12, 13))
    assert list(open_clean(str(tmp_path)).names) == ["b", "deep/c"]
    (tmp_path / "val").rename(tmp_path / "test")
    assert len(open_clean(str(tmp_path))) == 3


def test_a_damaged_picture_is_refused_and_not_replaced_by_another(tmp_path: Path) -> None:
    for name in "ab":
        write_png(tmp_path / f"{name}.png", torch.rand(3, 12, 13))
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(PairSetError, match=r"unreadable.*c\.png"):
        open_clean(str(tmp_path))


def test_a_picture_too_small_to_be_scored_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.rand(3, 10, 30))
    with pytest.raises(PairSetError, match=r"smaller than the 11 px"):
        open_clean(str(tmp_path))


def test_changed_pictures_have_another_identity_and_copies_the_same(tmp_path: Path) -> None:
    picture = torch.rand(3, 12, 13, generator=generator(0))
    write_png(tmp_path / "here" / "a.png", picture)
    write_png(tmp_path / "there" / "a.png", picture)
    os.utime(tmp_path / "there" / "a.png", (0, 0))
    before = open_clean(str(tmp_path / "here")).identity
    assert open_clean(str(tmp_path / "there")).identity == before
    write_png(tmp_path / "there" / "a.png", picture.flip(2))
    assert open_clean(str(tmp_path / "there")).identity != before


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures found"):
        open_clean(str(tmp_path))


def test_names_that_differ_in_their_suffix_alone_keep_it(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.rand(3, 12, 13))
    (tmp_path / "a.bmp").write_bytes((tmp_path / "a.png").read_bytes())
    assert sorted(open_clean(str(tmp_path)).names) == ["a.bmp", "a.png"]
