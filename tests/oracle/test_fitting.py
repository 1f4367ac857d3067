"""The oracle's instruction: nearer to the truth than the type's own, clean for a clean pair, and its errors."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from defusion.degradations.library import NAMES
from defusion.degradations.noise import Noise
from defusion.degradations.standard import standard
from defusion.grounds.chart import Chart
from defusion.oracle import Fitted, fit, instruction
from defusion.random import generator
from defusion.types import Image
from tests.oracle.examples import MATCHED, Example, cells, example, photo

CHART = Chart(128)
GROUND = CHART.canonical()
SEVERITIES = (0.2, 0.5, 0.8)
COMPOSITES = ("low_light+haze", "rain+noise")
RANDOM = ("rain", "snow", "raindrop", "noise", "low_light", "rain+noise")
"""Their fields differ from picture to picture: charts are compared by statistics of cells, over 16 fields."""


def seen(task: str, apply: Callable[[Image], Image]) -> Tensor:
    """What is compared of the chart under a degradation."""
    return cells(apply(GROUND.expand(16, -1, -1, -1))).mean(0) if task in RANDOM else apply(GROUND)


def type_matched(task: str, seed: int) -> Callable[[Image], Image]:
    """The degradation of an instruction that knows the type alone, as `VisualInstruction.named` shows it."""
    operator, severity = standard(task)
    params = operator.draw(1, generator(seed, 1), severity)
    return lambda x: Fitted(task, operator, params).apply(x, generator(seed, 2))


def distances(pair: Example) -> tuple[float, float]:
    """From the true parameters' instruction: of the oracle's, and of type-matched ones, mean of 4."""
    truth = seen(pair.task, lambda x: pair.truth(x, 100))
    oracle = seen(pair.task, lambda x: pair.fitted.apply(x, generator(3)))
    named = torch.stack([seen(pair.task, type_matched(pair.task, seed)) for seed in range(4)])
    return float((oracle - truth).square().mean()), float((named - truth).square().mean())


@pytest.mark.parametrize("task", [*NAMES, *COMPOSITES])
def test_it_is_nearer_to_the_truth_than_the_type_matched_one(task: str) -> None:
    pairs = [example(task, severity, "chelsea") for severity in SEVERITIES]
    table = torch.tensor([distances(pair) for pair in pairs])
    for severity, (oracle, named) in zip(SEVERITIES, table.tolist(), strict=True):
        print(f"{task:16s} severity {severity}: oracle {oracle:.6f}, type-matched {named:.6f}")
    assert table[:, 0].sum() < table[:, 1].sum() / 2
    for away in (0, 2):  # at 0.5 the type-matched one has the true severity
        assert table[away, 0] < table[away, 1]


@pytest.mark.parametrize("task", [*NAMES, "rain+noise"])
def test_a_clean_pair_shows_the_clean_chart(task: str) -> None:
    hq = photo("coffee", 64 if task in (*MATCHED, "downsample") else 128)
    shown = instruction(task, hq, hq, CHART)
    assert torch.equal(shown.ground, GROUND)
    assert (shown.picture - shown.ground).abs().max() < 0.01
    assert shown.shown == task


def test_the_same_seed_shows_the_same() -> None:
    pair = example("rain+noise", 0.5, "chelsea")
    lq, hq = pair.lq[:, :64, :64], pair.hq[:, :64, :64]
    first, again, other = (instruction("rain+noise", lq, hq, CHART, seed).picture for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("task", NAMES)
def test_a_fit_serves_a_batch_of_any_size(task: str) -> None:
    pair = example(task, 0.5, "chelsea")
    x = torch.rand(2, 3, 48, 80, generator=generator(0)).double()
    y = pair.fitted.apply(x, generator(1))
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.min() >= 0
    assert y.max() <= 1
    assert not torch.equal(x, y)
    alone = [pair.fitted.apply(x[row : row + 1], [generator(row)]) for row in range(2)]
    together = pair.fitted.apply(x, [generator(row) for row in range(2)])
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_noise_alone_is_not_said_to_be_white_when_it_is_not() -> None:
    hq, noise = photo("coffee"), Noise(kinds=(0, 1, 0))
    lq = noise(hq[None], generator(0), torch.tensor([0.5]))[0]
    assert set(fit("noise", lq, hq).params) == {"deviation", "by_luma", "colour", "grain"}


def test_pictures_that_are_no_pair_are_refused() -> None:
    hq = photo("coffee", 64)
    with pytest.raises(ValueError, match=r"lq, hq: expected pictures of one shape.*crop them"):
        fit("haze", photo("coffee", 80), hq)
    with pytest.raises(ValueError, match=r"lq: expected a float picture \(3, H, W\), got .*\(1, 3, 64, 64\)"):
        fit("haze", hq[None], hq)
    with pytest.raises(ValueError, match=r"hq: expected a float picture.*uint8"):
        fit("haze", hq, (hq * 255).byte())
    with pytest.raises(ValueError, match=r"lq: expected at least 64 pixels a side, got \(63, 64\)"):
        fit("haze", hq[:, 1:], hq)
    with pytest.raises(ValueError, match=r"lq: expected values in \[0, 1\].*divide"):
        fit("haze", hq * 255, hq)
    with pytest.raises(ValueError, match=r"hq: expected values in \[0, 1\]"):
        fit("haze", hq, hq * torch.nan)


def test_an_unknown_task_is_refused() -> None:
    hq = photo("coffee", 64)
    with pytest.raises(ValueError, match="unknown degradation 'hail'"):
        fit("hail", hq, hq)
