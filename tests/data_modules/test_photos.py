"""Photographs from the wheel and from folders with every kind of bad file in them."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_modules.hub import HubPhotos
from data_modules.photos import EmbeddedPhotos, FolderPhotos, open_photos
from defusion.imageio import write_png

SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))


def write(path: Path, value: int, height: int = 40, width: int = 50) -> None:
    write_png(path, np.full((height, width, 3), value, np.uint8))


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    """Five usable pictures of odd kinds, one truncated, two unreadable, one tiny, one text file."""
    rng = np.random.default_rng(0)
    write(tmp_path / "a_plain.png", 10)
    Image.fromarray(rng.integers(0, 256, (70, 64), dtype=np.uint8)).save(tmp_path / "b_grey.JPG")
    Image.fromarray(rng.integers(0, 256, (40, 60, 4), dtype=np.uint8)).save(tmp_path / "c_alpha.png")
    Image.fromarray(rng.integers(0, 65536, (40, 60), dtype=np.uint16)).save(tmp_path / "d_deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "below").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "below" / "e_rotated.jpg", exif=exif)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "f_truncated.png")
    content = (tmp_path / "f_truncated.png").read_bytes()
    (tmp_path / "f_truncated.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "g_empty.jpg").touch()
    (tmp_path / "h_words.png").write_text("no picture")
    write(tmp_path / "i_tiny.png", 0, 8, 200)
    (tmp_path / "readme.txt").write_text("about")
    return tmp_path


def test_embedded_photographs_need_no_network_and_share_no_frame_between_splits() -> None:
    train, val = EmbeddedPhotos("train"), EmbeddedPhotos("val")
    assert len(train) >= 6
    assert len(val) >= 2
    for picture in [train[i] for i in range(len(train))] + [val[i] for i in range(len(val))]:
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert min(picture.shape[:2]) >= 256
    for picture in (val[i] for i in range(len(val))):
        for i in range(len(train)):
            thumbnails = [np.asarray(Image.fromarray(p).resize((8, 8)), float) for p in (picture, train[i])]
            assert np.abs(thumbnails[0] - thumbnails[1]).mean() > 20


def test_a_folder_skips_bad_files_with_one_line(untidy: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        photos = FolderPhotos(untidy, min_size=32)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"skipped 3 of 9 pictures in {untidy}: 2 unreadable (g_empty.jpg, h_words.png), "
        "1 smaller than 32 px (i_tiny.png)"
    )
    assert sorted(path.name[0] for path in photos.paths) == list("abcdef")


def test_odd_kinds_are_converted_and_the_damaged_one_replaced(untidy: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos = FolderPhotos(untidy, min_size=32)
    by_letter = {path.name[0]: position for position, path in enumerate(photos.paths)}
    caplog.clear()
    shapes = {letter: photos[position].shape for letter, position in by_letter.items()}
    assert shapes["b"] == (70, 64, 3)
    assert shapes["c"] == shapes["d"] == (40, 60, 3)
    assert shapes["e"] == (60, 40, 3)
    assert all(photos[position].dtype == np.uint8 for position in range(len(photos)))
    following = (by_letter["f"] + 1) % len(photos)
    np.testing.assert_array_equal(photos[by_letter["f"]], photos[following])
    assert photos.num_broken == 1
    assert len(caplog.records) == 1
    assert "f_truncated.png" in caplog.text


def test_a_file_that_vanishes_during_training_does_not_end_it(tmp_path: Path) -> None:
    for value in range(4):
        write(tmp_path / f"{value}.png", value)
    photos = FolderPhotos(tmp_path)
    (tmp_path / "2.png").unlink()
    assert [int(photos[position][0, 0, 0]) for position in range(4)] == [0, 1, 3, 3]


def test_empty_missing_and_unusable_folders_are_errors_that_say_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no pictures found; looked in it and below for .*\.jpeg"):
        FolderPhotos(tmp_path)
    with pytest.raises(ValueError, match="expected a folder of pictures; not found"):
        FolderPhotos(tmp_path / "missing")
    write(tmp_path / "tiny.png", 0, 8, 8)
    with pytest.raises(ValueError, match=r"no usable picture; skipped 1 of 1 .* smaller than 64 px \(tiny\.png\)"):
        FolderPhotos(tmp_path, min_size=64)


def test_open_photos_holds_a_share_of_a_folder_out(tmp_path: Path) -> None:
    for value in range(40):
        write(tmp_path / f"{value:02}.png", value)
    train = open_photos(str(tmp_path), "train", min_size=32)
    val = open_photos(str(tmp_path), "val", min_size=32)
    shown = [int(source[i][0, 0, 0]) for source in (train, val) for i in range(len(source))]
    assert sorted(shown) == list(range(40))
    assert 1 <= len(val) <= 10


def test_open_photos_takes_train_and_val_folders_as_they_are(tmp_path: Path) -> None:
    for value in range(3):
        write(tmp_path / "train" / f"{value}.png", value)
    write(tmp_path / "val" / "0.png", 9)
    assert len(open_photos(str(tmp_path), "train")) == 3
    val = open_photos(str(tmp_path), "val")
    assert len(val) == 1
    assert val[0][0, 0, 0] == 9


def test_open_photos_without_data_is_the_embedded_source() -> None:
    assert isinstance(open_photos(None, "val"), EmbeddedPhotos)
    assert isinstance(open_photos("", "train"), EmbeddedPhotos)


@pytest.mark.parametrize("data", ["./missing/folder", "/missing", "a/b/c", "one picture.png"])
def test_open_photos_lists_what_it_accepts(data: str) -> None:
    with pytest.raises(ValueError, match="expected a folder of pictures, a parquet or arrow file, the id"):
        open_photos(data, "train")


def test_open_photos_refuses_a_single_picture(tmp_path: Path) -> None:
    write(tmp_path / "one.png", 1)
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        open_photos(str(tmp_path / "one.png"), "train")


def test_a_hub_id_that_cannot_be_loaded_is_an_error_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(name: str, streaming: bool) -> None:
        raise ConnectionError(f"cannot reach the hub for {name}")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(ValueError, match=r"owner/missing.*cannot reach the hub.*expected a folder") as caught:
        open_photos("owner/missing", "train")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match="cannot be loaded"):
        HubPhotos("owner/missing", "train")


@pytest.mark.skipif(not (SHARED / "data/photos/val").is_dir(), reason="the shared photographs are not here")
def test_shared_photographs_are_all_usable(caplog: pytest.LogCaptureFixture) -> None:
    photos = FolderPhotos(SHARED / "data/photos/val", min_size=256)
    assert len(photos) == 30
    assert photos[7].shape[2] == 3
    assert not caplog.records
