"""Graded restoration: what the parts are, that it grows steadily, and which way of grading is truer."""

import itertools
from functools import cache

import pytest
import torch
from torch import Tensor

from data_modules.clean import EmbeddedPairs
from defusion.degradations.library import NAMES
from defusion.degradations.standard import degrade, drawn
from defusion.diffusion.model import Defusion
from defusion.evaluation.metrics import psnr
from defusion.evaluation.obedience import middle
from defusion.evaluation.testset import as_tensor
from defusion.random import generator, normals
from defusion.restore.restorer import Restorer
from defusion.restore.strength import Share, Strength, shares


def test_one_number_scales_the_whole() -> None:
    assert shares("rain+noise", 0.3) == [Share("", 0.3)]


def test_the_strongest_come_first_and_the_weights_add_up() -> None:
    found = shares("rain:0.7+noise:25+haze", {"rain": 0.2, "noise": 1.0, "haze": 0.5})
    assert [share.spec for share in found] == ["noise:25", "noise:25+haze", "rain:0.7+noise:25+haze"]
    assert [share.weight for share in found] == pytest.approx([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        ({"rain": 1.0, "noise": 1.0}, [Share("rain+noise", 1.0)]),
        ({"rain": 1.0, "noise": 0.0}, [Share("rain", 1.0)]),
        ({"rain": 0.0, "noise": 0.0}, []),
    ],
)
def test_equal_strengths_are_one_part_and_none_is_left_out(strength: Strength, expected: list[Share]) -> None:
    assert shares("rain+noise", strength) == expected


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), {"rain": 2.0}, {"snow": 1.0}, {}])
def test_strengths_that_do_not_fit_are_refused(strength: Strength) -> None:
    with pytest.raises(ValueError, match="strength"):
        shares("rain", strength)


def test_one_a_degradation_removes_what_equal_instructions_do(model: Defusion) -> None:
    restorer = Restorer(model, "cpu")
    lq = torch.rand(3, 24, 24, generator=generator(0))
    rain = restorer(lq, "rain").degradation
    both = restorer(lq, "rain+noise").degradation
    assert torch.allclose(restorer(lq, "rain+noise", strength={"rain": 1, "noise": 0}).degradation, rain, atol=1e-6)
    graded = restorer(lq, "rain+noise", strength={"rain": 1, "noise": 0.25}).degradation
    assert torch.allclose(graded, 0.75 * rain + 0.25 * both, atol=1e-6)
    assert torch.equal(restorer(lq, "rain+noise", strength={"rain": 0, "noise": 0}).image, lq)
    with pytest.raises(ValueError, match="needs an instruction by names"):
        restorer(lq, restorer.instruction("rain+noise"), strength={"rain": 1, "noise": 0})


@cache
def shipped() -> Restorer:
    return Restorer.from_pretrained("small")


@cache
def photographs(size: int = 128) -> Tensor:
    pairs = EmbeddedPairs()
    return torch.stack([middle(as_tensor(pairs[number][1]), size) for number in range(len(pairs))])


@pytest.mark.parametrize("task", NAMES)
def test_the_output_moves_steadily_from_the_input_to_the_restoration(task: str) -> None:
    """Each step of strength takes it further from lq and nearer to the full restoration, by the same share."""
    lq = torch.cat([degrade(hq[None], task, 0, number) for number, hq in enumerate(photographs())])
    outputs = [shipped()(lq, task, strength=own).image for own in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert torch.equal(outputs[0], lq)
    away = [float((own - lq).square().mean().sqrt()) for own in outputs]
    left = [float((own - outputs[-1]).square().mean().sqrt()) for own in outputs]
    assert all(after > before for before, after in itertools.pairwise(away))
    assert all(after < before for before, after in itertools.pairwise(left))
    assert [own / away[-1] for own in away] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.12)  # clipping bends it


@pytest.mark.slow
def test_scaling_the_degradation_is_truer_than_interpolating_tokens() -> None:
    """At half strength, against the picture degraded by the same draw at half the severity: mean over the eleven."""
    restorer = shipped()
    scaled, interpolated = [], []
    for task in NAMES:
        for number, hq in enumerate(photographs()):
            lq, half = (drawn(task, 0, number, severity=own).apply(hq[None])[0] for own in (0.5, 0.25))
            full = restorer(lq, task)
            scaled.append(float(psnr((lq - 0.5 * full.degradation).clamp(0, 1)[None], half[None])))
            tokens = restorer.tokens(full.instruction)
            assert tokens is not None
            lesser = restorer.model.restore(lq[None], 0.5 * tokens, normals(generator(0)))
            interpolated.append(float(psnr(lesser, half[None])))
    means = [sum(own) / len(own) for own in (scaled, interpolated)]
    print(f"scaled {means[0]:.2f} dB, interpolated tokens {means[1]:.2f} dB")
    assert means[0] > means[1]
