"""The shipped model on held-out photographs: it restores, leaves alone what it should, and adds no artefacts.

The bounds are loose, below what its card says: they catch broken weights and code that no longer fits them.
"""

from functools import cache

import pytest
import torch
from torch import Tensor

from data_modules.clean import EmbeddedPairs
from defusion.degradations.library import NAMES
from defusion.degradations.standard import degrade
from defusion.evaluation.metrics import psnr
from defusion.evaluation.obedience import middle
from defusion.evaluation.testset import as_tensor
from defusion.instruction import NULL
from defusion.pretrained import find
from defusion.restore.restorer import AUTO, Restorer

CONTEXT = 32
"""Pixels around a crop, beyond which the network's borders lie."""


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_pretrained("small")


@cache
def photographs(size: int) -> Tensor:
    pairs = EmbeddedPairs()
    return torch.stack([middle(as_tensor(pairs[number][1]), size) for number in range(len(pairs))])


@cache
def degraded(task: str, size: int = 192) -> Tensor:
    return torch.cat([degrade(hq[None], task, 0, number) for number, hq in enumerate(photographs(size))])


def test_it_is_of_the_promised_size(restorer: Restorer) -> None:
    assert 5e6 < sum(parameter.numel() for parameter in restorer.model.parameters()) < 12e6
    assert sum(file.stat().st_size for file in find("small").rglob("*") if file.is_file()) < 25e6


def test_every_degradation_is_removed_in_one_step(restorer: Restorer) -> None:
    gains = {}
    for task in NAMES:
        hq, lq = photographs(192), degraded(task)
        gains[task] = float((psnr(restorer(lq, task).image, hq) - psnr(lq, hq)).mean())
    assert sum(gains.values()) / len(gains) > 3.5, gains
    assert min(gains.values()) > 0, gains
    assert all(gains[task] > 2 for task in ("low_light", "rain", "snow", "haze", "underwater", "noise")), gains


def test_the_null_instruction_changes_nothing(restorer: Restorer) -> None:
    lq = degraded("rain")
    assert torch.allclose(restorer(lq, NULL).image, lq, atol=1e-6)


@pytest.mark.parametrize("task", ["rain", "noise", "haze", "snow"])
def test_borders_are_nearly_as_good_as_the_middle(restorer: Restorer, task: str) -> None:
    """The outermost 8 px against the same pixels restored with their surroundings."""
    lq, hq = degraded(task, 192 + 2 * CONTEXT), photographs(192 + 2 * CONTEXT)
    inside = (..., slice(CONTEXT, -CONTEXT), slice(CONTEXT, -CONTEXT))
    ring = torch.ones(192, 192, dtype=torch.bool)
    ring[8:-8, 8:-8] = False
    alone, surrounded = restorer(lq[inside], task).image, restorer(lq, task).image[inside]
    errors = [(own - hq[inside]).square()[..., ring].mean() for own in (alone, surrounded)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("task", ["noise", "downsample", "defocus_blur", "raindrop", "jpeg"])
def test_colours_do_not_shift(restorer: Restorer, task: str) -> None:
    """Means of channels are those of the clean pictures, within 3 of 255 (clipping moves those of noisy ones)."""
    shift = (restorer(degraded(task), task).image - photographs(192)).mean((2, 3))
    assert shift.abs().max() < 3 / 255


@pytest.mark.parametrize("task", ["haze", "noise", "low_light"])
def test_no_grid_of_the_networks_stride_is_left(restorer: Restorer, task: str) -> None:
    """Differences of neighbouring columns of the error are no larger at one place of the stride than at others."""
    error = (restorer(degraded(task), task).image - photographs(192)).mean(1)
    stride = restorer.model.config.unet.stride
    steps = error.diff(dim=2).abs().mean((0, 1))
    places = torch.stack([steps[place : 192 - stride : stride].mean() for place in range(stride)])
    assert places.max() < 1.3 * places.mean()


@pytest.mark.parametrize("task", NAMES)
def test_it_sees_what_is_wrong_with_a_picture(restorer: Restorer, task: str) -> None:
    lq = degraded(task, 256)
    found = restorer.describe(lq)
    assert [own.surest for own in found] == [task] * len(lq)
    hq = photographs(256)
    gain, told = (psnr(restorer(lq, shown).image, hq) - psnr(lq, hq) for shown in (AUTO, task))
    assert gain.min() > 0
    assert gain.mean() > told.mean() - 1


@pytest.mark.parametrize("size", [160, 300])
@pytest.mark.parametrize("task", ["rain", "noise", "snow+noise", "low_light+rain", "rain+jpeg", NULL])
def test_it_sees_all_that_is_wrong_with_pictures_of_any_size(restorer: Restorer, task: str, size: int) -> None:
    lq = photographs(size) if task == NULL else degraded(task, size)
    shown = [own.shown for own in restorer.describe(lq)]
    assert shown.count(task) >= len(shown) - 1


def test_it_leaves_clean_pictures_alone(restorer: Restorer) -> None:
    hq = photographs(256)
    assert [own.shown for own in restorer.describe(hq)] == [NULL] * len(hq)
    assert torch.equal(restorer(hq, AUTO).image, hq)
