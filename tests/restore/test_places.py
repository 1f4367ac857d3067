"""Where results go: no two to one place, whatever is given in whatever order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defusion.imageio import ImageError
from defusion.restore.places import find_places


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], Path]:
    def make(names: Sequence[str]) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


def names(*inputs: str, out: str = "out", suffix: str | None = None, listed: Sequence[str] = ()) -> dict[str, str]:
    """Source below the working folder -> name of the result."""
    found = find_places(inputs, Path(out), suffix, listed)
    return {own.source.relative_to(Path.cwd()).as_posix(): own.name for own in found.places}


def test_folders_keep_their_paths_and_files_their_names(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/a.png", "in/deep/b.JPG", "c.webp"])
    assert names("in", "c.webp") == {"in/a.png": "a.png", "in/deep/b.JPG": "deep/b.JPG", "c.webp": "c.webp"}


def test_patterns_and_lists(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/a.png", "in/deep/b.png", "in/deep/c.jpg"])
    assert set(names("in/**/*.png")) == {"in/a.png", "in/deep/b.png"}
    assert set(names("-", listed=["in/a.png\n", "\n", "in/deep/c.jpg\r\n"])) == {"in/a.png", "in/deep/c.jpg"}
    assert set(names("-", listed=["in/a.png\0in/deep/c.jpg\0"])) == {"in/a.png", "in/deep/c.jpg"}
    with pytest.raises(ImageError, match="no file fits"):
        names("in/*.tif")
    with pytest.raises(ImageError, match="no paths on standard input"):
        names("-")
    with pytest.raises(ImageError, match="no such file"):
        names("-", listed=["nowhere.png"])


def test_what_is_not_there_stops_nothing_else(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/a.png", "b.png"])
    (Path("in") / "empty").mkdir()
    found = find_places(["in/*", "b.png", "nowhere.png", "in/*.tif", "-"], Path("out"), listed=["gone.jpg\n"])
    assert [own.name for own in found.places] == ["a.png", "b.png"]
    assert found.missing.keys() == {"in/empty", "nowhere.png", "in/*.tif", "gone.jpg"}
    assert all(found.missing.values())


def test_a_name_that_is_too_long_stops_nothing_else(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["a.png"])
    found = find_places(["x" * 300, "a.png"], Path("out"))
    assert [own.name for own in found.places] == ["a.png"]
    assert found.missing == {"x" * 300: "File name too long"}


def test_names_never_collide_whatever_the_order(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["x/a.png", "y/a.png", "y/z/a.png", "b.png", "b.jpg"])
    given = ["x/a.png", "y/a.png", "y/z/a.png", "b.png", "b.jpg"]
    found = names(*given)
    assert found["x/a.png"] == "x/a.png"
    assert found["y/a.png"] == "y/a.png"
    assert found["y/z/a.png"] == "z/a.png"
    assert names(*reversed(given)) == found
    png = names(*given, suffix=".png")
    assert png["b.jpg"] == "b.jpg.png"
    assert png["b.png"] == "b.png"
    assert len(set(png.values())) == 5


def test_a_name_that_differs_in_case_alone_is_one(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["x/A.png", "y/a.png"])
    assert sorted(names("x", "y").values()) == ["x/A.png", "y/a.png"]


def test_of_names_that_nothing_tells_apart_the_first_is_restored(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/A.png", "in/a.png", "in/b.png"])
    found = find_places(["in"], Path("out"))
    assert [own.name for own in found.places] == ["A.png", "b.png"]
    ((lost, why),) = found.missing.items()
    assert lost.endswith("in/a.png")
    assert "the name of another one's; restore it by itself" in why


def test_a_picture_given_twice_is_restored_once(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/a.png"])
    assert names("in", "in/a.png", "./in") == {"in/a.png": "a.png"}


def test_formats_that_are_not_written_become_png(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["a.gif", "a.png", "b.ppm"])
    assert names("a.gif", "a.png", "b.ppm") == {"a.gif": "a.gif.png", "a.png": "a.png", "b.ppm": "b.ppm.png"}
    with pytest.raises(ValueError, match="--format: expected one of"):
        names("a.gif", suffix=".gif")


def test_results_of_before_are_no_inputs(folder: Callable[[Sequence[str]], Path]) -> None:
    folder(["in/a.png", "in/out/a.png"])
    assert names("in", out="in/out") == {"in/a.png": "a.png"}
    assert names("in/out/a.png", out="in/out") == {"in/out/a.png": "a.png"}
    assert names("in/**/*.png", out="in/out") == {"in/a.png": "a.png"}
    assert names("in/out", out="in/out") == {"in/out/a.png": "a.png"}
    folder(["only/out/a.png"])
    with pytest.raises(ImageError, match="where results go"):
        names("only", out="only/out")
