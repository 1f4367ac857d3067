"""Streams: each picture once a pass over all readers, and the same after an interruption."""

import json
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from PIL import Image
from torch import Tensor

from data_modules.plan import SynthesisConfig
from data_modules.restoration import RestorationDataModule
from data_modules.streams import Mark, PictureStream, StreamedCrops
from defusion.grounds.chart import Chart
from defusion.types import Batch
from tests.data_modules.test_hub import own_cache, png

__all__ = ["own_cache"]

Shards = Callable[..., str]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Writes pictures of the shades 0, 1, 2, ... in so many files, with a validation split of one; others as given."""

    def make(count: int, files: int, **other: bytes) -> str:
        pictures = [other.get(f"_{value}", png(value)) for value in range(count)]
        for number in range(files):
            write_parquet(tmp_path / "set" / f"train-{number}.parquet", pictures[number::files])
        write_parquet(tmp_path / "set" / "validation-0.parquet", [png(250)])
        return str(tmp_path / "set")

    return make


def write_parquet(path: Path, pictures: list[bytes]) -> None:
    """As the hub has them."""
    path.parent.mkdir(exist_ok=True)
    rows = [{"bytes": picture, "path": None} for picture in pictures]
    datasets.Dataset.from_dict({"image": rows}).cast_column("image", datasets.Image()).to_parquet(path)


def shades(pictures: Iterator[tuple[np.ndarray, Mark]], count: int) -> list[int]:
    return [int(picture[0, 0, 0]) for picture, _ in islice(pictures, count)]


@pytest.mark.parametrize("readers", [1, 2, 3, 8])
@pytest.mark.parametrize("files", [1, 6])
def test_readers_share_each_pass(shards: Shards, files: int, readers: int) -> None:
    """Seed 0; 24 pictures, three passes; shards of their own, or rows of all where there are fewer."""
    stream = PictureStream(shards(24, files), window=3)
    share = 24 // readers
    seen = [shades(stream.read(reader, readers), 3 * share) for reader in range(readers)]
    for turn in range(3):
        whole = [shade for own in seen for shade in own[turn * share : (turn + 1) * share]]
        assert sorted(whole) == list(range(24))


def test_the_order_is_fixed_by_the_seed_and_new_in_each_pass(shards: Shards) -> None:
    name = shards(24, 4)
    first, again, other = (shades(PictureStream(name, seed=seed, window=8).read(), 48) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert first[:24] != first[24:]
    assert sorted(first[:24]) == sorted(first[24:])


@pytest.mark.parametrize("readers", [1, 3])
def test_a_reader_goes_on_from_every_mark(shards: Shards, readers: int) -> None:
    """Over damaged rows, shards, windows and passes; through JSON, as in a checkpoint."""
    damaged = png(9)[:60]
    stream = PictureStream(shards(20, 2, _3=b"no picture", _7=png(7, side=8), _9=damaged), min_size=32, window=6)
    given = list(islice(stream.read(1 % readers, readers), 45))
    for number in range(0, 40, 3):
        mark = Mark(**json.loads(json.dumps(vars(given[number][1]))))
        after = list(islice(stream.read(1 % readers, readers, mark), 5))
        assert [int(own[0][0, 0, 0]) for own in after] == [
            int(own[0][0, 0, 0]) for own in given[number + 1 : number + 6]
        ]
        assert [own[1] for own in after] == [own[1] for own in given[number + 1 : number + 6]]


@pytest.mark.fault
def test_what_is_damaged_is_passed_over_and_counted(shards: Shards, caplog: pytest.LogCaptureFixture) -> None:
    stream = PictureStream(shards(20, 2, _3=b"no picture", _7=png(7, side=8)), min_size=32, window=5)
    with caplog.at_level(logging.WARNING):
        given = list(islice(stream.read(), 18))
    assert {int(picture[0, 0, 0]) for picture, _ in given} == set(range(20)) - {3, 7}
    assert given[-1][1].skipped == 2
    assert "1 damaged or small pictures passed over so far" in caplog.text


@pytest.mark.fault
@pytest.mark.parametrize("window", [4, 10, 50])
def test_a_pass_of_pictures_cut_off_is_an_error(shards: Shards, window: int) -> None:
    """Their headers are sound; they are found to be damaged when they are decoded."""
    cut = {f"_{number}": png(number)[:-40] for number in range(10)}
    with pytest.raises(ValueError, match="no usable picture of 32 px or more for reader 1 of 1"):
        next(PictureStream(shards(10, 2, **cut), min_size=32, window=window).read())
    stream = PictureStream(shards(11, 2, **cut), min_size=32, window=window)
    assert [int(picture[0, 0, 0]) for picture, _ in islice(stream.read(), 3)] == [10, 10, 10]


@pytest.mark.fault
def test_a_reader_whose_shard_is_damaged_waits_for_its_next(shards: Shards) -> None:
    """Four shards, one of them damaged, four readers: each has it once in four passes, and the others in the rest."""
    damaged = {f"_{number}": png(number)[:-40] for number in range(1, 24, 4)}
    stream = PictureStream(shards(24, 4, **damaged), min_size=32, window=4)
    whole = set(range(24)) - set(range(1, 24, 4))
    for reader in range(4):
        seen = shades(stream.read(reader, 4), 36)
        assert sorted(seen[:18]) == sorted(seen[18:]) == sorted(whole)
    nothing = PictureStream(shards(24, 4, **{f"_{number}": png(number)[:-40] for number in range(24)}), min_size=32)
    with pytest.raises(ValueError, match="no usable picture of 32 px or more for reader 2 of 4"):
        next(nothing.read(1, 4))


@pytest.mark.fault
def test_a_stream_that_can_no_longer_be_read_is_one_line(shards: Shards, tmp_path: Path) -> None:
    pictures = PictureStream(shards(24, 3), window=4).read()
    next(pictures)
    for file in (tmp_path / "set").glob("train-*.parquet"):
        file.unlink()
    with pytest.raises(ValueError, match=r"set': no usable picture .* of the last shard: FileNotFoundError: [^\n]*$"):
        shades(pictures, 60)


@pytest.mark.fault
@pytest.mark.parametrize("readers", [1, 3, 5])
def test_a_shard_that_cannot_be_read_is_passed_over(
    shards: Shards, tmp_path: Path, readers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One of three files is cut off; with five readers each reads them all. From any mark reading goes on alike."""
    name = shards(24, 3)
    whole = {reader: PictureStream(name, window=4).read(reader, readers) for reader in range(readers)}
    left = {shade for own in whole.values() for shade in shades(own, 24) if shade % 3 != 1}
    (tmp_path / "set" / "train-1.parquet").write_bytes((tmp_path / "set" / "train-1.parquet").read_bytes()[:-200])
    stream = PictureStream(name, window=4)
    with caplog.at_level(logging.WARNING):
        given = {reader: list(islice(stream.read(reader, readers), 24)) for reader in range(readers)}
    assert {int(picture[0, 0, 0]) for own in given.values() for picture, _ in own} == left
    assert "1 shards that cannot be read passed over so far, the last by ArrowInvalid" in caplog.text
    for reader, own in given.items():
        for number in range(0, 20, 3):
            after = shades(stream.read(reader, readers, own[number][1]), 3)
            assert after == [int(picture[0, 0, 0]) for picture, _ in own[number + 1 : number + 4]]


def test_a_pass_without_a_picture_is_an_error(shards: Shards) -> None:
    with pytest.raises(ValueError, match="no usable picture of 64 px or more for reader 1 of 1"):
        next(PictureStream(shards(5, 1), min_size=64).read())


def test_a_stream_is_read_no_further_than_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten million rows, 16 and what `datasets` reads ahead; opening it reads none."""
    made: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(10_000_000):
            made.append(number)
            yield {"image": {"bytes": png(number % 200), "path": None}}

    features = datasets.Features({"image": datasets.Image()})
    endless = datasets.IterableDataset.from_generator(rows, features=features)
    splits = {"train": endless, "validation": endless}
    monkeypatch.setattr("data_modules.streams.load_splits", lambda name, streaming: splits)
    stream = PictureStream("endless", window=16)
    assert not made
    shades(stream.read(), 20)
    assert len(made) <= 40


class Recorder(LightningModule):
    """Keeps the pictures that it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Tensor] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append(batch.lq.clone())
        return self.weight * batch.lq.mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Leave(Callback):
    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 7:
            trainer.should_stop = True
            raise KeyboardInterrupt


def data(name: str, workers: int) -> RestorationDataModule:
    synthesis = SynthesisConfig(chart=Chart(32), grounds=4)
    return RestorationDataModule(
        name, synthesis=synthesis, crop_size=16, batch_size=2, steps_per_epoch=5, workers=workers, seed=3
    )


def fit(root: Path, source: RestorationDataModule, *callbacks: Callback, resume: bool = False) -> list[Tensor]:
    saving = ModelCheckpoint(root, save_last=True, every_n_train_steps=1, enable_version_counter=False)
    recorder = Recorder()
    run = Trainer(
        max_steps=13,
        accelerator="cpu",
        logger=False,
        callbacks=[saving, *callbacks],
        default_root_dir=root,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        run.fit(recorder, source, ckpt_path="last" if resume else None, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        assert callbacks
    return recorder.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", ["folder", "stream"])
def test_a_training_goes_on_with_the_very_pictures(shards: Shards, tmp_path: Path, kind: str, workers: int) -> None:
    """Seed 3: left in the middle of the second epoch of five steps, while workers had read ahead."""
    if kind == "stream":
        name = f"stream:{shards(30, 3)}"
    else:
        name = str(tmp_path / "folder")
        for value in range(40):
            (tmp_path / "folder").mkdir(exist_ok=True)
            Image.new("RGB", (24, 24), (value, value, value)).save(tmp_path / "folder" / f"{value}.png")
    whole = fit(tmp_path / "whole", data(name, workers))
    first = fit(tmp_path / "left", data(name, workers), Leave())
    second = fit(tmp_path / "left", data(name, workers), resume=True)
    assert 6 <= len(first) <= 8
    assert len(whole) == 13
    saved = 13 - len(second)
    assert 6 <= saved <= 7
    assert torch.equal(torch.stack([*first[:saved], *second]), torch.stack(whole))
    assert len({float(own.mean()) for own in whole}) == 13


@pytest.mark.parametrize("kind", ["folder", "stream"])
def test_another_batch_or_number_of_processes_keeps_the_place(
    shards: Shards, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five steps of two samples, batches of four, or two processes. A stream begins with a whole batch."""
    name = f"stream:{shards(30, 3)}" if kind == "stream" else None

    def numbers(batch_size: int, state: dict[str, Any] | None = None) -> tuple[list[int], dict[str, Any]]:
        source = data(name or "", 0)
        source.data, source.batch_size, source.workers = name, batch_size, 0
        source.setup("fit")
        if state is not None:
            source.load_state_dict(state)
        seen: list[int] = []
        for batch in source.train_dataloader():
            seen += batch["index"].tolist()
            source.on_after_batch_transfer(batch, 0)
        return seen, source.state_dict()

    first, state = numbers(2)
    assert first == list(range(10))
    assert state["samples"] == 10
    assert numbers(4, state)[0] == list(range(12 if kind == "stream" else 10, 32 if kind == "stream" else 30))
    monkeypatch.setattr("data_modules.streams.world_size", lambda: 2)
    monkeypatch.setattr("data_modules.crops.world_size", lambda: 2)
    monkeypatch.setattr("data_modules.restoration.world_size", lambda: 2)
    monkeypatch.setattr("data_modules.streams.torch.distributed.all_gather_object", lambda parts, own: None)
    for rank in (0, 1):
        monkeypatch.setattr("data_modules.streams.rank", lambda rank=rank: rank)
        monkeypatch.setattr("data_modules.crops.rank", lambda rank=rank: rank)
        begin = 12 if kind == "stream" else 10
        seen, later = numbers(2, state)
        assert seen == list(range(begin + rank, begin + 20, 2))
        assert later["samples"] == begin + 20


def test_another_training_with_the_same_data_begins_anew() -> None:
    source = data("", 0)
    source.data = None
    for _ in range(2):
        source.setup("fit")
        batches = list(source.train_dataloader())
        for batch in batches:
            source.on_after_batch_transfer(batch, 0)
        assert batches[0]["index"].tolist() == [0, 1]


def test_from_a_folder_to_a_stream_it_begins_the_stream(shards: Shards) -> None:
    crops = StreamedCrops(PictureStream(shards(30, 3), window=4), 16, 2, 5, workers=0)
    crops.load_state_dict({"samples": 8})
    item = next(iter(crops))
    assert item["index"] == 8
    assert json.loads(item["mark"]) == vars(Mark(used=1, row=0)) | {"state": None}


def test_with_other_workers_it_goes_on_with_a_new_pass(shards: Shards, caplog: pytest.LogCaptureFixture) -> None:
    stream = PictureStream(shards(30, 3), window=4)
    one = StreamedCrops(stream, 16, 2, 5, workers=0)
    for batch in islice(one, 0, 4, 2):
        one.note([batch["mark"]])
    state = one.state_dict()
    three = StreamedCrops(stream, 16, 2, 5, workers=3)
    with caplog.at_level(logging.WARNING):
        three.load_state_dict(state)
    assert "was read by 1 workers, and now by 3" in caplog.text
    assert three.done == 2
    assert json.loads(next(iter(three))["mark"])["turn"] == 1
