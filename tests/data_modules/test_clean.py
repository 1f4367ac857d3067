from pathlib import Path

import numpy as np
import pytest
import torch

from data_modules.clean import CleanPairs
from defusion.imageio import read_image, write_png


def test_the_embedded_photographs_are_the_held_out_ones() -> None:
    pairs = CleanPairs(None)
    assert list(pairs.names) == ["chelsea", "coffee"]
    degraded, clean = pairs[0]
    assert degraded is None
    assert clean.dtype == np.uint8


def test_all_pictures_of_a_folder_by_their_paths(tmp_path: Path) -> None:
    for name in ("b", "deep/a", "deep/b"):
        write_png(tmp_path / f"{name}.png", torch.rand(3, 8, 9))
    pairs = CleanPairs(str(tmp_path))
    assert sorted(pairs.names) == ["b", "deep/a", "deep/b"]
    for name, number in zip(pairs.names, range(3), strict=True):
        assert np.array_equal(pairs[number][1], read_image(tmp_path / f"{name}.png"))


def test_names_that_differ_in_their_suffix_alone_keep_it(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.rand(3, 8, 9))
    write_png(tmp_path / "b.png", torch.rand(3, 8, 9))
    (tmp_path / "b.png").rename(tmp_path / "a.bmp")  # still a picture, by its content
    assert sorted(CleanPairs(str(tmp_path)).names) == ["a.bmp", "a.png"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures found"):
        CleanPairs(str(tmp_path))
