"""Patterns take what they should, no more, and names sort as people count."""

from pathlib import Path

import pytest

from defusion.patterns import files_below, fitting, names_in, natural, sample_name


@pytest.mark.parametrize(
    ("pattern", "file", "names"),
    [
        ("gt/{name}", "gt/0001_0.8_0.2.png", {"name": "0001_0.8_0.2"}),
        ("gt/{name}", "gt/a.JPeG", {"name": "a"}),
        ("gt/{name}", "gt/100fromGOPR1014.MP4.png", {"name": "100fromGOPR1014.MP4"}),
        ("hazy/{name}_{A}_{beta}", "hazy/0001_0.8_0.2.jpg", {"name": "0001", "A": "0.8", "beta": "0.2"}),
        ("{name}_{kind}", "a_b_c.png", {"name": "a", "kind": "b_c"}),
        ("**/{scene}/gt/gt_{name}", "x/y/scene1/gt/gt_3.png", {"scene": "scene1", "name": "3"}),
        ("**/{scene}/gt/gt_{name}", "scene1/gt/gt_3.png", {"scene": "scene1", "name": "3"}),
        ("**/gt/{name}", "gt/3.png", {"name": "3"}),
        ("Blocks.mat", "Blocks.mat", {}),
    ],
)
def test_a_pattern_fits(pattern: str, file: str, names: dict[str, str]) -> None:
    assert fitting(pattern, [file]) == {file: names}


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("gt/{name}", "gt/deeper/a.png"),
        ("gt/{name}", "other/gt/a.png"),
        ("gt/{name}", "gt/a.txt"),
        ("gt/{name}", "gt/.png"),
        ("{name}_GT", "a_GTx.png"),
        ("a.c/{name}", "abc/1.png"),
        ("**/gt/{name}", "notgt/a.png"),
        ("Blocks.mat", "Blocks.mat.png"),
    ],
)
def test_a_pattern_does_not_fit(pattern: str, file: str) -> None:
    assert fitting(pattern, [file]) == {}


def test_names_and_the_parts_of_a_sample_that_vary() -> None:
    assert names_in("test/{scene}/blur/{name}_{beta}") == ["scene", "name", "beta"]
    assert sample_name("test/{scene}/blur/{name}", "test/GOPR0384_11_00/blur/000001.png") == "GOPR0384_11_00/000001"
    assert sample_name("**/{scene}/blur/blur_{name}", "a/b/scene1/blur/blur_2.png") == "scene1/blur_2"
    assert sample_name("hazy/{name}_{A}", "hazy/1_0.8.jpg") == "1_0.8"
    assert sample_name("Blocks.mat", "Blocks.mat") == "Blocks"


def test_numbers_sort_by_their_value() -> None:
    names = ["b", "a10/b3", "a2/b12", "a2/b1", "10", "2", "1", "01"]
    assert sorted(names, key=natural) == ["01", "1", "2", "10", "a2/b1", "a2/b12", "a10/b3", "b"]


def test_files_below_are_sorted_without_hidden_ones_and_through_links(tmp_path: Path) -> None:
    root, store = tmp_path / "root", tmp_path / "store"
    for file in ("root/b/2.png", "root/a.png", "root/.hidden.png", "root/.git/x.png", "store/1.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (root / "link").symlink_to(store)
    (root / "again").symlink_to(store)
    (root / "b" / "loop").symlink_to(root)
    assert files_below(root) == ["a.png", "again/1.png", "b/2.png", "link/1.png"]
