"""Samples of test sets: made, resized, and shown what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.evaluation.testset import TestSet, shown_of


class Pictures:
    """Two pairs of one size."""

    def __init__(self, dtype: Any = np.uint8, size: tuple[int, int] = (33, 47), paired: bool = True) -> None:
        draw = np.random.default_rng(0)
        levels = np.iinfo(dtype).max
        self._pictures = draw.integers(0, levels + 1, (2, 2, *size, 3), dtype=dtype)
        self._paired = paired
        self.names: Sequence[str] = ["a", "b"]
        self.facts: Sequence[Mapping[str, str]] = [{}, {}]
        self.layout = self.identity = "in memory"

    def __len__(self) -> int:
        return 2

    def __getitem__(self, position: int) -> tuple[NDArray[Any] | None, NDArray[Any]]:
        lq, hq = self._pictures[position]
        return (lq if self._paired else None), hq


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pairs_keep_their_precision(dtype: Any) -> None:
    pairs = Pictures(dtype)
    sample = TestSet(BENCHMARKS["dpdd"], pairs)[1]
    for tensor, picture in zip((sample.lq, sample.hq), pairs[1], strict=True):
        assert picture is not None
        assert tensor.dtype == torch.float32
        levels = (tensor.double() * np.iinfo(dtype).max).round().permute(1, 2, 0).numpy()
        assert np.array_equal(levels, picture)


def test_a_synthetic_set_is_the_same_each_time_and_each_picture_its_own() -> None:
    test = TestSet(BENCHMARKS["cbsd68_s25"], Pictures(paired=False))
    first, again, second = test[0], test[0], test[1]
    assert torch.equal(first.lq, again.lq)
    assert not torch.equal(first.lq - first.hq, second.lq - second.hq)
    assert torch.equal((first.lq * 255).round() / 255, first.lq)


def test_the_weather_rule_resizes_both() -> None:
    sample = TestSet(BENCHMARKS["raindrop"], Pictures(size=(33, 47)))[0]
    assert sample.lq.shape == sample.hq.shape == (3, 48, 48)


@pytest.mark.parametrize(
    ("folder", "shown"),
    [("haze", "haze"), ("low", "low_light"), ("low_haze_rain", "low_light+rain+haze"), ("haze_snow", "snow+haze")],
)
def test_cdd11_is_shown_what_its_folders_name(folder: str, shown: str) -> None:
    assert shown_of(BENCHMARKS["cdd11"], {"degradation": folder}) == shown


def test_a_folder_that_names_no_degradation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cdd11.*'fog'.*fog is none"):
        shown_of(BENCHMARKS["cdd11"], {"degradation": "fog"})


def test_other_sets_are_shown_their_task() -> None:
    assert shown_of(replace(BENCHMARKS["outdoor_rain"]), {"name": "im_0001"}) == "rain+haze"
