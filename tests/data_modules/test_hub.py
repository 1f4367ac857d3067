"""Data sets of `datasets` as photographs: by position and as a stream, without the network."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from data_modules.hub import HubPhotos, StreamedPhotos
from data_modules.photos import PhotoSource, open_photos


def png(value: int, side: int = 40) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side + 10, side), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`datasets` keeps its copies here, shows no progress, and asks no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., str]:
    """Writes pictures, given as bytes, to a parquet file as the hub has them."""

    def make(pictures: list[bytes], name: str = "photos.parquet", **columns: Any) -> str:
        rows = [{"bytes": picture, "path": None} for picture in pictures]
        table = datasets.Dataset.from_dict({"picture": rows, "label": list(range(len(rows))), **columns})
        for column in ("picture", *columns):
            table = table.cast_column(column, datasets.Image())
        table.to_parquet(tmp_path / name)
        return str(tmp_path / name)

    return make


def values(source: PhotoSource) -> list[int]:
    return [int(source[position][0, 0, 0]) for position in range(len(source))]


def test_a_parquet_file_is_read_with_a_tenth_held_out(parquet: Callable[..., str]) -> None:
    name = parquet([png(value) for value in range(60)])
    train, val = (values(open_photos(name, split, min_size=32)) for split in ("train", "val"))
    assert sorted(train + val) == list(range(60))
    assert 1 <= len(val) <= 15


def test_a_saved_data_set_with_its_own_splits_is_used_as_it_is(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    rows = {
        name: {"image": [{"bytes": png(v), "path": None} for v in shades], "mask": [None] * len(shades)}
        for name, shades in (("train", (1, 2, 3)), ("validation", (7, 8)))
    }
    tables = {name: datasets.Dataset.from_dict(table, features=features) for name, table in rows.items()}
    datasets.DatasetDict(tables).save_to_disk(tmp_path / "saved")
    assert values(open_photos(str(tmp_path / "saved"), "train")) == [1, 2, 3]
    for prefix in ("", "stream:"):
        assert values(open_photos(f"{prefix}{tmp_path / 'saved'}", "val")) == [7, 8]


def test_a_folder_of_pictures_is_a_data_set_too(tmp_path: Path) -> None:
    for value in range(40):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / f"{value}.png").write_bytes(png(value))
    name = str(tmp_path / "folder")
    assert sorted(values(HubPhotos(name, "train")) + values(HubPhotos(name, "val"))) == list(range(40))
    assert len(values(StreamedPhotos(name))) >= 1


def test_a_file_that_vanishes_during_training_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for value in range(20):
        (tmp_path / "folder" / f"{value:02}.png").write_bytes(png(value))
    photos = HubPhotos(str(tmp_path / "folder"), "train", cache_bytes=0)
    before = values(photos)
    (tmp_path / "folder" / f"{before[3]:02}.png").unlink()
    assert values(photos) == [*before[:3], before[4], *before[4:]]


def test_bad_rows_are_replaced_or_passed_over(parquet: Callable[..., str]) -> None:
    pictures = [png(value) for value in range(30)]
    pictures[3], pictures[5], pictures[8] = b"no picture", png(5, side=8), png(8)[:60]
    name = parquet(pictures)
    train = HubPhotos(name, "train", min_size=32)
    shown = values(train)
    assert len(shown) == len(train)
    assert not {3, 5, 8} & set(shown)


def test_the_column_is_found_by_type_or_named(parquet: Callable[..., str]) -> None:
    pictures = [png(value) for value in range(4)]
    masks = [{"bytes": png(100 + value), "path": None} for value in range(4)]
    name = parquet(pictures, mask=masks)
    with pytest.raises(ValueError, match=r"several: \['picture', 'mask'\]; name it by `column`"):
        HubPhotos(name, "train")
    assert min(values(HubPhotos(name, "train", column="mask"))) >= 100
    with pytest.raises(ValueError, match=r"has no 'photo' but \['label', 'mask', 'picture'\]"):
        StreamedPhotos(name, column="photo")


def test_data_without_pictures_is_an_error(tmp_path: Path, parquet: Callable[..., str]) -> None:
    datasets.Dataset.from_dict({"text": ["a", "b"]}).to_parquet(tmp_path / "words.parquet")
    for open_set in (lambda name: HubPhotos(name, "train"), StreamedPhotos):
        with pytest.raises(ValueError, match=r"found none among \['text'\]"):
            open_set(str(tmp_path / "words.parquet"))
    name = parquet([png(0, side=8)] * 3, "tiny.parquet")
    with pytest.raises(ValueError, match="no usable picture of 64 px or more for 'val'"):
        StreamedPhotos(name, min_size=64)
    with pytest.raises(ValueError, match="a stream has no pictures by position"):
        open_photos(f"stream:{name}", "train")


def test_the_held_out_of_a_stream_are_those_of_the_whole_set(parquet: Callable[..., str]) -> None:
    """By content here, by row there: a tenth each; the first of them, as many as asked for."""
    name = parquet([png(value) for value in range(200)])
    few, more = values(StreamedPhotos(name, count=50)), values(StreamedPhotos(name, count=100))
    assert len(few) == 5
    assert len(more) == 10
    assert more[:5] == few
