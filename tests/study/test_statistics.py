"""Means, intervals over photographs and spreads over seeds: by hand, by theory, and where they cannot be taken."""

import math
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest

from defusion.study.scores import Measurement
from defusion.study.statistics import GAIN, difference, estimate, groups_of
from tests.study.made_up import WEATHER, measurement


def seeds(count: int = 3, level: float = 30.0, **changes: object) -> dict[int, Measurement]:
    return {seed: measurement(level=level, seed=seed, **changes) for seed in range(count)}  # type: ignore[arg-type]


def by_task(own: Measurement, task: str) -> float:
    return mean(image.restored["psnr"] for image in own.images if image.task == task)


def without(own: Measurement, *names: str) -> Measurement:
    return replace(own, images=tuple(image for image in own.images if (image.task, image.name) != names))


def test_the_mean_is_over_photographs_then_tasks() -> None:
    """One photograph fewer under rain does not make rain weigh less."""
    own = without(measurement(), "rain", "photo3")
    expected = mean(by_task(own, task) for task in WEATHER)
    assert estimate({0: own}, "psnr", WEATHER).value == pytest.approx(expected)
    assert expected != pytest.approx(mean(image.restored["psnr"] for image in own.images))


def test_the_gain_is_over_the_input() -> None:
    own = measurement()
    expected = mean(image.restored["psnr"] - image.input["psnr"] for image in own.images)
    assert estimate({0: own}, GAIN, WEATHER).value == pytest.approx(expected)


def test_the_interval_is_that_of_the_mean_of_photographs() -> None:
    own = measurement(photographs=200, seed_noise=0.0)
    found = estimate({0: own}, "psnr", ("rain",))
    values = [image.restored["psnr"] for image in own.images if image.task == "rain"]
    half = 1.96 * stdev(values) / math.sqrt(len(values))
    assert found.low == pytest.approx(found.value - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.1 * half)


def test_photographs_are_drawn_jointly_over_tasks_and_seeds() -> None:
    """Three tasks and four seeds whose scores are those of the photographs tell no more than one."""
    one = estimate(seeds(1, seed_noise=0.0), "psnr", ("rain",))
    many = estimate(seeds(4, seed_noise=0.0), "psnr", WEATHER)
    assert many.high - many.low == pytest.approx(one.high - one.low)


def test_an_estimate_is_the_same_each_time() -> None:
    assert estimate(seeds(), "psnr", WEATHER) == estimate(seeds(), "psnr", WEATHER)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_spread_is_that_of_the_means_of_seeds(count: int) -> None:
    own = seeds(count)
    means = [mean(by_task(one, task) for task in WEATHER) for one in own.values()]
    expected = {1: None, 2: max(means) - min(means), 3: stdev(means) if count == 3 else None}[count]
    assert estimate(own, "psnr", WEATHER).spread == pytest.approx(expected)


def test_a_difference_is_paired() -> None:
    """Photographs differ by 2 dB, variants by half a dB: paired it shows."""
    found = difference(seeds(level=29.5), seeds(level=30.0), "psnr", WEATHER)
    assert found.value == pytest.approx(-0.5, abs=0.15)
    assert found.high - found.low < 0.5
    assert found.differs
    alone = estimate(seeds(level=29.5), "psnr", WEATHER)
    assert alone.high - alone.low > 1.0


def test_a_difference_to_itself_is_none() -> None:
    found = difference(seeds(), seeds(), "psnr", WEATHER)
    assert (found.value, found.low, found.high, found.spread) == (0, 0, 0, 0)
    assert not found.differs


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    """Two equal variants, 200 times: at 95% an interval excludes zero about ten times."""
    excluded = 0
    for trial in range(200):
        one, other = ({0: measurement(seed=seed, photographs=40, tasks=("rain",))} for seed in (trial, 200 + trial))
        excluded += difference(one, other, "psnr", ("rain",)).differs
    assert 3 <= excluded <= 24


def test_the_spread_of_a_difference_is_of_the_seeds_of_both() -> None:
    first, second = seeds(3, 29.0), seeds(2, 30.0)
    expected = [estimate({seed: own}, "psnr", WEATHER).value for seed, own in first.items()]
    less = [own - estimate({seed: second[seed]}, "psnr", WEATHER).value for seed, own in enumerate(expected[:2])]
    found = difference(first, second, "psnr", WEATHER)
    assert found.spread == pytest.approx(max(less) - min(less))
    assert difference({5: measurement()}, second, "psnr", WEATHER).spread is None


def test_one_photograph_tells_nothing() -> None:
    found = difference(seeds(photographs=1), seeds(photographs=1, level=20.0), "psnr", WEATHER)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert not found.differs


def test_other_photographs_are_refused() -> None:
    other = {0: without(measurement(), "rain", "photo1")}
    with pytest.raises(ValueError, match="same photographs"):
        difference(seeds(1), seeds(1, photographs=11), "psnr", WEATHER)
    with pytest.raises(ValueError, match="under the same tasks"):
        difference(seeds(1), other, "psnr", WEATHER)
    with pytest.raises(ValueError, match="on the same photographs"):
        estimate({0: measurement(), 1: other[0]}, "psnr", WEATHER)


def test_what_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="measured under noise"):
        estimate(seeds(), "psnr", ("noise",))
    with pytest.raises(ValueError, match="metric: expected one of psnr, ssim"):
        estimate(seeds(lpips=None), "lpips", WEATHER)


def test_a_task_that_no_drawn_photograph_had_is_left_out() -> None:
    """Each photograph under a task of its own, as composites drawn at random are."""
    images = [image for image in measurement(photographs=3).images if image.task == WEATHER[int(image.name[-1])]]
    found = estimate({0: replace(measurement(), images=tuple(images))}, "psnr", WEATHER)
    values = [image.restored["psnr"] for image in images]
    assert found.value == pytest.approx(np.mean(values))
    assert min(values) <= found.low < found.high <= max(values)


def test_groups_are_those_of_the_paper_and_all_where_there_is_more() -> None:
    paper = {"derain": ("rain",), "dehaze": ("haze",), "desnow": ("snow",)}
    assert groups_of(seeds()) == paper | {"weather": ("rain", "haze", "snow")}
    tasks = ("noise", *WEATHER)
    more = groups_of(seeds(tasks=tasks))
    assert more == paper | {"weather": ("rain", "haze", "snow"), "all": tasks}
    assert groups_of(seeds(tasks=("rain",))) == {"derain": ("rain",)}
    assert groups_of(seeds(tasks=("noise", "jpeg"))) == {"all": ("noise", "jpeg")}
