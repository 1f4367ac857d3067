"""Crops depend on (seed, index) alone, are real windows of their picture, and keep pairs aligned."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from data_modules.crops import CentreGeometry, CropDataset, RandomGeometry, StepSampler
from data_modules.photos import EmbeddedPhotos
from defusion.imageio import Picture
from defusion.random import generator


class Maps:
    """Pictures that tell where each pixel was: (row, column, picture)."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, position: int) -> Picture:
        rows, columns = np.indices(self.sizes[position])
        return np.stack([rows, columns, np.full_like(rows, position)], axis=-1).astype(np.uint8)


MANY = Maps(*[(40 + 3 * i, 90 - 5 * i) for i in range(7)])


def loaded(dataset: Dataset[dict[str, Any]], num_workers: int, batch_size: int) -> torch.Tensor:
    loader = DataLoader(dataset, batch_size=batch_size, sampler=StepSampler(24), num_workers=num_workers)
    return torch.cat([batch["hq"] for batch in loader])


def test_an_item_has_the_agreed_form() -> None:
    item = CropDataset(MANY, 16)[12]
    assert item["hq"].shape == (3, 16, 16)
    assert item["hq"].dtype == torch.uint8
    assert item["hq"].is_contiguous()
    assert torch.equal(item["lq"], item["hq"])
    assert item["index"] == 12
    assert item["task"] == ""


def test_crops_are_windows_of_the_picture_flipped_all_four_ways() -> None:
    dataset = CropDataset(MANY, 16)
    ways = set()
    for index in range(60):
        rows, columns, picture = dataset[index]["hq"].int()
        height, width = MANY.sizes[int(picture[0, 0])]
        down, right = int(rows[1, 0] - rows[0, 0]), int(columns[0, 1] - columns[0, 0])
        assert torch.equal(rows, rows[0, 0] + down * torch.arange(16)[:, None].expand(16, 16))
        assert torch.equal(columns, columns[0, 0] + right * torch.arange(16).expand(16, 16))
        assert rows.max() < height
        assert columns.max() < width
        ways.add((down, right))
    assert ways == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_crops_reach_every_corner() -> None:
    dataset = CropDataset(Maps((18, 18)), 16)
    corners = {(int(hq[0].min()), int(hq[1].min())) for hq in (dataset[i]["hq"] for i in range(100))}
    assert corners == {(row, column) for row in range(3) for column in range(3)}


def test_same_seed_same_items_and_another_seed_others() -> None:
    first, again, other = CropDataset(MANY, 16, 5), CropDataset(MANY, 16, 5), CropDataset(MANY, 16, 6)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
    items = {index: first[index]["hq"] for index in range(40)}
    assert all(torch.equal(again[index]["hq"], items[index]) for index in order)
    assert sum(torch.equal(other[index]["hq"], items[index]) for index in order) < 4


def test_global_random_state_neither_matters_nor_changes() -> None:
    dataset = CropDataset(MANY, 16)
    torch.manual_seed(1)
    before = dataset[3]["hq"]
    state = torch.get_rng_state()
    assert torch.equal(dataset[3]["hq"], before)
    torch.manual_seed(2)
    assert torch.equal(dataset[3]["hq"], before)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_batches_for_any_number_of_workers_and_any_batch_size() -> None:
    dataset = CropDataset(EmbeddedPhotos("val"), 32, seed=11)
    alone = loaded(dataset, 0, 4)
    assert torch.equal(loaded(dataset, 2, 4), alone)
    assert torch.equal(loaded(dataset, 0, 6), alone)


def test_each_run_shows_each_photograph_once_in_a_new_order() -> None:
    dataset = CropDataset(MANY, 16)
    runs = [[int(dataset[7 * run + i]["hq"][2, 0, 0]) for i in range(7)] for run in range(6)]
    assert all(sorted(run) == list(range(7)) for run in runs)
    assert len({tuple(run) for run in runs}) > 3


def test_smaller_pictures_are_padded_by_reflection() -> None:
    geometry = RandomGeometry(16, flip=False)
    (crop,) = geometry((Maps((5, 40))[0],), generator(2))
    rows = crop[0, :, 0].tolist()
    assert crop.shape == (3, 16, 16)
    assert set(rows) == set(range(5))
    assert all(abs(here - there) == 1 for here, there in pairwise(rows))
    (single,) = geometry((np.full((1, 1, 3), 9, np.uint8),), generator(0))
    assert bool((single == 9).all())


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (40, 33)])
def test_pairs_stay_aligned_under_crop_flip_and_padding(size: tuple[int, int]) -> None:
    clean = Maps(size)[0]
    geometry = RandomGeometry(16)
    for seed in range(20):
        degraded, target = geometry((np.bitwise_not(clean), clean), generator(seed))
        assert torch.equal(degraded ^ 255, target)
        (alone,) = geometry((clean,), generator(seed))
        assert torch.equal(alone, target)


def test_validation_shows_centres_first_then_fixed_crops_without_flips() -> None:
    source = Maps((40, 60), (30, 20), (8, 8))
    dataset = CropDataset(source, 16, augment=False, length=9)
    assert len(dataset) == 9
    assert [int(dataset[i]["hq"][2, 0, 0]) for i in range(9)] == [0, 1, 2] * 3
    assert dataset[0]["hq"][:2, 0, 0].tolist() == [12, 22]
    assert torch.equal(dataset[1]["hq"], CentreGeometry(16)((source[1],))[0])
    later = dataset[3]["hq"].int()
    assert later[0, 1, 0] - later[0, 0, 0] == 1
    assert later[1, 0, 1] - later[1, 0, 0] == 1
    assert torch.equal(dataset[3]["hq"], CropDataset(source, 16, augment=False)[3]["hq"])


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="crop_size: expected at least 1, got 0"):
        CropDataset(MANY, 0)
    with pytest.raises(ValueError, match="length: expected at least 1, got 0"):
        CropDataset(MANY, 8, length=0)
    with pytest.raises(IndexError, match="index: expected 0 or more, got -1"):
        CropDataset(MANY, 8)[-1]


def test_the_sampler_goes_on_from_epoch_to_epoch() -> None:
    done = 0
    sampler = StepSampler(5, lambda: done)
    assert list(sampler) == [0, 1, 2, 3, 4]
    done = 17
    assert list(sampler) == [17, 18, 19, 20, 21]
    assert len(sampler) == 5


def test_processes_share_an_epoch_without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        sampler = StepSampler(11, lambda: 6)
        assert len(sampler) == 3
        shares.append(list(sampler))
    assert shares == [[18, 21, 24], [19, 22, 25], [20, 23, 26]]
    with pytest.raises(ValueError, match="at least one for each of 3, got 2"):
        StepSampler(2)
