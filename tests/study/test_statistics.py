"""Means and their intervals: by hand, by how often they hold the truth, and where they cannot be taken."""

import math
from dataclasses import replace
from statistics import mean, stdev

import pytest
import torch
from torch import Tensor

from defusion.random import generator
from defusion.study.scores import Measurement
from defusion.study.statistics import GAIN, Values, t_interval, tasks_of, values
from tests.study.made_up import WEATHER, measurement

TRIALS = 2000


def seeds(count: int = 3, level: float = 30.0, **changes: object) -> dict[int, Measurement]:
    return {seed: measurement(level=level, seed=seed, **changes) for seed in range(count)}  # type: ignore[arg-type]


def without(own: Measurement, *names: str) -> Measurement:
    return replace(own, images=tuple(image for image in own.images if (image.task, image.name) != names))


def table(cells: Tensor) -> Values:
    """(seeds, photographs)."""
    return Values(tuple(range(len(cells))), tuple(map(str, range(cells.shape[1]))), cells.double())


def share_decided(photographs: int, seeds: int, training: float, difference: float = 0.0) -> float:
    """How often a difference is decided, of photographs and seeds that differ by chance, 400 times.

    Args:
        photographs: measured.
        seeds: trained.
        training: standard deviation of the seeds' own effects, in dB; that of a photograph's scores is 0.3.
        difference: that there is, in dB.
    """
    source = generator(7, photographs, seeds)
    cells = 0.3 * torch.randn(400, seeds, photographs, generator=source) + difference
    cells += training * torch.randn(400, seeds, 1, generator=source)
    return mean(table(own).estimate().decided for own in cells)


def test_the_mean_is_over_seeds_photographs_and_tasks() -> None:
    own = seeds()
    expected = mean(image.restored["psnr"] for one in own.values() for image in one.images)
    assert values(own, "psnr").estimate().value == pytest.approx(expected)
    rain = mean(image.restored["psnr"] for one in own.values() for image in one.images if image.task == "rain")
    assert values(own, "psnr", ("rain",)).estimate().value == pytest.approx(rain)
    assert rain != pytest.approx(expected)


def test_the_gain_is_over_the_input() -> None:
    own = measurement()
    expected = mean(image.restored["psnr"] - image.input["psnr"] for image in own.images)
    assert values({0: own}, GAIN).estimate().value == pytest.approx(expected)


def test_an_interval_is_that_of_the_t_test() -> None:
    """Of 1, 2, 3, 4: mean 2.5, standard error 0.6455, t of three degrees 3.1824."""
    found = t_interval(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((2.5 - 3.18245 * 0.645497, 2.5 + 3.18245 * 0.645497), abs=1e-4)


@pytest.mark.parametrize("photographs", [2, 5, 10, 30])
def test_an_interval_holds_the_truth_as_often_as_it_says(photographs: int) -> None:
    """At 95%, 2,000 trials miss 100 times, with a standard deviation of 10."""
    differences = torch.randn(TRIALS, photographs, generator=generator(3, photographs), dtype=torch.float64)
    found = [t_interval(own) for own in differences]
    missed = sum(own is not None and own.excludes_zero for own in found)
    assert missed / TRIALS == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("photographs", [2, 5, 30])
@pytest.mark.parametrize("training", [0.0, 0.1, 0.5])
def test_equal_variants_are_rarely_decided_whatever_the_noise_of_training(photographs: int, training: float) -> None:
    assert share_decided(photographs, 3, training) < 0.08


def test_a_true_difference_is_decided() -> None:
    assert share_decided(30, 3, 0.1, 1.0) > 0.9


def test_one_seed_or_one_photograph_decides_nothing() -> None:
    assert share_decided(30, 1, 0.0, 5.0) == share_decided(1, 3, 0.0, 5.0) == 0
    alone = values(seeds(1, photographs=1), "psnr").estimate()
    assert (alone.photographs, alone.seeds, alone.spread, alone.number) == (None, None, None, 1)


def test_both_intervals_have_to_exclude_zero() -> None:
    photographs_agree = torch.tensor([[1.0, 1.1, 0.9], [-0.8, -0.7, -0.9], [1.0, 0.9, 1.1]])
    for cells in (photographs_agree, photographs_agree.T):
        own = table(cells).estimate()
        assert own.photographs is not None
        assert own.seeds is not None
        assert own.photographs.excludes_zero != own.seeds.excludes_zero
        assert not own.decided


@pytest.mark.parametrize("count", [2, 3])
def test_the_spread_is_the_standard_deviation_of_the_means_of_seeds(count: int) -> None:
    own = seeds(count)
    means = [mean(image.restored["psnr"] for image in one.images) for one in own.values()]
    found = values(own, "psnr").estimate()
    assert found.spread == pytest.approx(stdev(means))
    assert found.number == count


def test_a_difference_is_paired() -> None:
    """Photographs differ by 2 dB, variants by half a dB: paired it shows."""
    ours = values(seeds(level=29.5), "psnr")
    found, alone = (ours - values(seeds(level=30.0), "psnr")).estimate(), ours.estimate()
    assert found.value == pytest.approx(-0.5, abs=0.15)
    assert found.photographs is not None
    assert alone.photographs is not None
    assert found.photographs.high - found.photographs.low < 0.5
    assert alone.photographs.high - alone.photographs.low > 1.0
    assert found.decided


def test_a_difference_to_itself_is_none() -> None:
    own = values(seeds(), "psnr")
    found = (own - own).estimate()
    assert (found.value, found.spread) == (0, 0)
    assert not found.decided


def test_a_difference_is_of_the_seeds_of_both() -> None:
    """A seed that one side lacks says nothing of the difference, not even of its value."""
    first, second = values(seeds(3, 29.0), "psnr"), values(seeds(2, 30.0), "psnr")
    found = first - second
    assert found.seeds == (0, 1)
    assert torch.equal(found.values, values(seeds(2, 29.0), "psnr").values - second.values)
    assert found.estimate().number == 2
    with pytest.raises(ValueError, match="a seed that both have"):
        values({5: measurement()}, "psnr") - second


def test_other_photographs_are_refused() -> None:
    with pytest.raises(ValueError, match="same photographs"):
        values(seeds(1), "psnr") - values(seeds(1, photographs=11), "psnr")
    other = without(measurement(), "rain", "photo1")
    with pytest.raises(ValueError, match="every photograph under each of rain, haze, snow"):
        values({0: measurement(), 1: other}, "psnr")


def test_what_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="under each of noise"):
        values(seeds(), "psnr", ("noise",))
    with pytest.raises(ValueError, match="metric: expected one of psnr, ssim"):
        values(seeds(lpips=None), "lpips")


def test_tasks_are_in_the_order_of_measuring() -> None:
    assert tasks_of(seeds()) == WEATHER
    assert math.prod(values(seeds(), "ssim").values.shape) == 36
