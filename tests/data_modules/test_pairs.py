"""Paired folders are checked when opened; mixing them in keeps shares, alignment and reproducibility."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from data_modules.crops import CropDataset, StepSampler
from data_modules.pairs import MixedDataset, PairedFolder, PairMixture
from data_modules.photos import EmbeddedPhotos
from defusion.imageio import ImageError, Picture, write_png


def make_pairs(folder: Path, count: int = 3, value: int = 0) -> Path:
    """Pairs whose input is the target with every bit turned over."""
    rng = np.random.default_rng(value)
    for number in range(count):
        clean = rng.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
        write_png(folder / "input" / f"{number}.png", np.bitwise_not(clean))
        write_png(folder / "target" / f"{number}.png", clean)
    return folder


def mixed(clean: CropDataset, folders: list[PairedFolder], weights: Sequence[float]) -> MixedDataset:
    return MixedDataset(clean, PairMixture(folders, weights, clean.crop_size, clean.seed))


def test_pairs_match_by_stem_whatever_the_suffix_and_the_sub_folder(tmp_path: Path) -> None:
    write_png(tmp_path / "input/scene/1.png", np.full((20, 24, 3), 5, np.uint8))
    (tmp_path / "target/scene").mkdir(parents=True)
    Image.new("RGB", (24, 20), (7, 7, 7)).save(tmp_path / "target/scene/1.BMP")
    pairs = PairedFolder(tmp_path, "rain+noise")
    assert pairs.names == ["scene/1"]
    assert pairs.task == "rain+noise"
    degraded, clean = pairs[0]
    assert degraded.shape == clean.shape == (20, 24, 3)
    assert (int(degraded[0, 0, 0]), int(clean[0, 0, 0])) == (5, 7)


def test_all_faults_are_named_in_one_error(tmp_path: Path) -> None:
    make_pairs(tmp_path, 6)
    (tmp_path / "target/0.png").unlink()
    (tmp_path / "input/1.png").unlink()
    write_png(tmp_path / "target/2.png", np.zeros((9, 8, 3), np.uint8))
    (tmp_path / "input/3.png").write_bytes(b"")
    Image.new("RGB", (40, 34)).save(tmp_path / "input/4.jpg")
    with pytest.raises(ValueError, match="paired folder") as caught:
        PairedFolder(tmp_path, "rain")
    message = str(caught.value)
    assert "1 more than once in 'input' (4)" in message
    assert "1 without a target (0)" in message
    assert "1 without an input (1)" in message
    assert "1 of another size than the target (2.png: 40 x 32 against 8 x 9)" in message
    assert "1 unreadable" in message
    assert "3.png: empty" in message


def test_missing_and_empty_folders_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder 'input' in it; expected degraded pictures in 'input'"):
        PairedFolder(tmp_path, "rain")
    (tmp_path / "input").mkdir()
    with pytest.raises(ValueError, match=r"input: no pictures found; looked in it and below"):
        PairedFolder(tmp_path, "rain")


@pytest.mark.parametrize("task", ["", "rain+", "+noise", "rian"])
def test_a_task_must_be_names(tmp_path: Path, task: str) -> None:
    with pytest.raises(ValueError, match="unknown degradation"):
        PairedFolder(make_pairs(tmp_path), task)


@pytest.mark.fault
def test_a_damaged_pair_is_an_error_by_itself_and_replaced_in_training(tmp_path: Path, clean: CropDataset) -> None:
    pairs = PairedFolder(make_pairs(tmp_path, 4), "snow")
    content = (tmp_path / "input/2.png").read_bytes()
    (tmp_path / "input/2.png").write_bytes(content[:200])
    with pytest.raises(ImageError, match=r"2\.png"):
        pairs[2]
    dataset = mixed(clean, [pairs], [0, 1])
    for index in range(12):
        assert torch.equal(dataset[index]["lq"] ^ 255, dataset[index]["hq"])


class Flat:
    """Grey photographs, told apart from the pairs by their flatness."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, position: int) -> Picture:
        return np.full((50, 60, 3), 40 * position, np.uint8)


@pytest.fixture
def clean() -> CropDataset:
    return CropDataset(Flat(), 24, seed=9)


def test_sources_come_in_their_shares_with_their_tasks(tmp_path: Path, clean: CropDataset) -> None:
    folders = [PairedFolder(make_pairs(tmp_path / name, value=i), name) for i, name in enumerate(("rain", "haze"))]
    dataset = mixed(clean, folders, [2, 1, 1])
    items = [dataset[index] for index in range(400)]
    tasks = [item["task"] for item in items]
    assert len(dataset) == len(clean)
    assert 160 < tasks.count("") < 240
    assert 70 < tasks.count("rain") < 130
    assert tasks.count("") + tasks.count("rain") + tasks.count("haze") == 400
    for index, item in enumerate(items):
        assert item["index"] == index
        if item["task"]:
            assert torch.equal(item["lq"] ^ 255, item["hq"])
        else:
            assert torch.equal(item["hq"], clean[index]["hq"])
            assert torch.equal(item["lq"], item["hq"])


def test_weight_zero_leaves_a_source_out(tmp_path: Path, clean: CropDataset) -> None:
    dataset = mixed(clean, [PairedFolder(make_pairs(tmp_path), "rain")], [1, 0])
    assert {dataset[index]["task"] for index in range(50)} == {""}


def test_weights_must_fit_the_sources(tmp_path: Path, clean: CropDataset) -> None:
    pairs = PairedFolder(make_pairs(tmp_path), "rain")
    with pytest.raises(ValueError, match="weights: expected one for the clean crops"):
        mixed(clean, [pairs], [1])
    for weights in ([1, -1], [0, 0]):
        with pytest.raises(ValueError, match="weights: expected none below 0"):
            mixed(clean, [pairs], weights)


def test_the_same_batches_for_any_number_of_workers(tmp_path: Path) -> None:
    clean = CropDataset(EmbeddedPhotos("val"), 24, seed=1)
    dataset = mixed(clean, [PairedFolder(make_pairs(tmp_path), "rain")], [1, 1])

    def batches(num_workers: int) -> list[dict[str, Any]]:
        return list(DataLoader(dataset, batch_size=4, sampler=StepSampler(16), num_workers=num_workers))

    for alone, shared in zip(batches(0), batches(2), strict=True):
        assert torch.equal(alone["hq"], shared["hq"])
        assert torch.equal(alone["lq"], shared["lq"])
        assert alone["task"] == shared["task"]
