"""Data sets of `datasets` as photographs: by position and as a stream, without the network."""

import pickle
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from data_modules.crops import CropDataset, StepSampler
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


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_parquet_file_is_read_with_a_tenth_held_out(parquet: Callable[..., str], prefix: str) -> None:
    name = prefix + parquet([png(value) for value in range(60)])
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
    for prefix in ("", "stream:"):
        assert values(open_photos(f"{prefix}{tmp_path / 'saved'}", "train")) == [1, 2, 3]
        assert values(open_photos(f"{prefix}{tmp_path / 'saved'}", "val")) == [7, 8]


def test_a_folder_of_pictures_is_a_data_set_too(tmp_path: Path) -> None:
    for value in range(40):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / f"{value}.png").write_bytes(png(value))
    name = str(tmp_path / "folder")
    assert sorted(values(HubPhotos(name, "train")) + values(HubPhotos(name, "val"))) == list(range(40))
    assert sorted(values(StreamedPhotos(name, "train")) + values(StreamedPhotos(name, "val"))) == list(range(40))


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
    streamed = StreamedPhotos(name, "train", min_size=32)
    assert not {3, 5, 8} & set(values(streamed))


def test_the_column_is_found_by_type_or_named(parquet: Callable[..., str]) -> None:
    pictures = [png(value) for value in range(4)]
    masks = [{"bytes": png(100 + value), "path": None} for value in range(4)]
    name = parquet(pictures, mask=masks)
    with pytest.raises(ValueError, match=r"several: \['picture', 'mask'\]; name it by `column`"):
        HubPhotos(name, "train")
    assert min(values(HubPhotos(name, "train", column="mask"))) >= 100
    assert min(values(StreamedPhotos(name, "train", column="mask"))) >= 100
    with pytest.raises(ValueError, match=r"has no 'photo' but \['label', 'mask', 'picture'\]"):
        StreamedPhotos(name, "val", column="photo")


def test_data_without_pictures_is_an_error(tmp_path: Path, parquet: Callable[..., str]) -> None:
    datasets.Dataset.from_dict({"text": ["a", "b"]}).to_parquet(tmp_path / "words.parquet")
    for source in (HubPhotos, StreamedPhotos):
        with pytest.raises(ValueError, match=r"found none among \['text'\]"):
            source(str(tmp_path / "words.parquet"), "train")
    name = parquet([png(0, side=8)] * 3, "tiny.parquet")
    with pytest.raises(ValueError, match="no usable picture of 64 px or more for 'train'"):
        StreamedPhotos(name, "train", min_size=64)


def test_a_window_slides_over_the_stream_and_starts_over_at_its_end(parquet: Callable[..., str]) -> None:
    stream = StreamedPhotos(parquet([png(value) for value in range(20)]), "train", window=4)
    whole = values(StreamedPhotos(parquet([png(value) for value in range(20)], "b.parquet"), "train"))
    shown = []
    for number in range(2 * len(whole)):
        stream.seek(number)
        shown += values(stream)
    assert shown == (whole * 8)[: len(shown)]
    stream.seek(1)
    assert values(stream) == whole[4:8]
    copy = pickle.loads(pickle.dumps(stream))
    copy.seek(2)
    assert values(copy) == whole[8:12]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_streamed_crops_are_the_same_for_any_number_of_workers(parquet: Callable[..., str], num_workers: int) -> None:
    stream = StreamedPhotos(parquet([png(value) for value in range(20)]), "train", window=5)
    assert _shades(CropDataset(stream, 16, seed=3), num_workers) == _shades(CropDataset(stream, 16, seed=3), 0)


def _shades(dataset: Dataset[dict[str, Any]], num_workers: int) -> list[int]:
    loader = DataLoader(dataset, batch_size=3, sampler=StepSampler(24), num_workers=num_workers)
    shades = np.concatenate([batch["hq"][:, 0, 0, 0].numpy() for batch in loader])
    return [int(shade) for shade in shades]


def test_shards_come_in_another_order_for_another_seed_and_pass(tmp_path: Path, parquet: Callable[..., str]) -> None:
    for shard in range(4):
        (tmp_path / "many").mkdir(exist_ok=True)
        parquet([png(10 * shard + value) for value in range(4)], f"many/train-{shard}.parquet")
        parquet([png(200 + shard)], f"many/validation-{shard}.parquet")
    name = str(tmp_path / "many")
    first, again, other = (StreamedPhotos(name, "train", seed=seed, window=16) for seed in (0, 0, 1))
    assert values(first) == values(again) != values(other)
    assert sorted(values(other)) == [10 * shard + value for shard in range(4) for value in range(4)]
    before = values(first)
    first.seek(1)
    assert sorted(values(first)) == sorted(before)
    assert values(first) != before
    assert values(StreamedPhotos(name, "val", seed=3)) == [200, 201, 202, 203]
