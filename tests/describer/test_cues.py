"""What tells degradations apart without training, on pictures of which it is known."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data_modules.synthesis import Synthesis
from defusion.degradations.standard import degrade
from defusion.describer.cues import BINS, CUES, QUANTILES, cues
from defusion.random import generator
from tests.describer.test_module import alone


def picture(size: int = 128) -> Tensor:
    """Coloured noise, (1, 3, S, S), which has all frequencies and dark and bright places."""
    return torch.rand(1, 3, size, size, generator=generator(0))


def parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Spectrum (B, rows, columns), dark channel and brightness (B, quantiles)."""
    spectrum, dark, bright = cues(x).split([CUES - 2 * QUANTILES, QUANTILES, QUANTILES], dim=1)
    return spectrum.unflatten(1, BINS), dark, bright


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (128, 128), (250, 130)])
def test_they_are_finite_and_of_one_number_for_pictures_of_any_size(size: tuple[int, int]) -> None:
    for x in (torch.rand(2, 3, *size), torch.zeros(2, 3, *size), torch.ones(2, 3, *size)):
        found = cues(x)
        assert found.shape == (2, CUES)
        assert found.isfinite().all()
        assert found.abs().max() < 5


def test_a_large_picture_and_a_small_one_of_the_same_kind_are_alike() -> None:
    small, large = cues(picture(128)), cues(picture(256))
    assert (small - large).abs().mean() < 0.1


def test_the_spectrum_tells_where_a_picture_moved() -> None:
    """Along its rows the horizontal frequencies are lost, and those across stay."""
    still, (moved, *_) = parts(picture())[0], parts(F.avg_pool2d(picture(), (1, 9), 1, (0, 4)))
    lost = (still - moved)[0]
    middle = BINS[0] // 2  # of no vertical frequency
    assert lost[middle, -4:].mean() > 0.5
    assert lost[[0, -1], 0].abs().mean() < 0.2


def test_haze_lifts_the_dark_channel() -> None:
    _, dark, _ = parts(picture())
    _, hazy, _ = parts(0.5 * picture() + 0.45)
    assert torch.allclose(hazy, dark / 2 + 4 * 0.45 - 0.5, atol=1e-4)


def test_blurred_samples_have_the_rounding_of_a_file() -> None:
    """Unrounded floats would show blur in frequencies so weak that no file holds them."""
    made = Synthesis(alone("defocus_blur", 1.0))(picture(), [0])
    levels = made.lq * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    exact = degrade(picture(), "defocus_blur:1", 0, 0)
    rounded = (exact * 255).round() / 255
    difference = (parts(exact)[0] - parts(rounded)[0]).abs().max()
    assert difference > 0.1, "the cues would see it"
