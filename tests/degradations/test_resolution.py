"""Downsampling: agreement with other resamplers."""

import pytest
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from defusion.degradations.resolution import AREA, BICUBIC, BILINEAR, STRIP, Downsample
from defusion.random import generator


def fixed(ratio: float, sigma: float, down: int, up: int) -> dict[str, Tensor]:
    return {
        "severity": torch.ones(1),
        "ratio": torch.tensor([ratio]),
        "sigma": torch.tensor([sigma]),
        "down": torch.tensor([down]),
        "up": torch.tensor([up]),
    }


@pytest.mark.parametrize(("method", "mode"), [(BICUBIC, "bicubic"), (BILINEAR, "bilinear"), (AREA, "area")])
@pytest.mark.parametrize("ratio", [2, 4])
def test_resampling_agrees_with_torch(method: int, mode: str, ratio: int) -> None:
    x = torch.rand(1, 3, 64, 48, generator=generator(11))
    if mode == "area":
        small = F.interpolate(x, scale_factor=1 / ratio, mode="area")
        expected = F.interpolate(small, scale_factor=ratio, mode="nearest")
    else:
        small = F.interpolate(x, scale_factor=1 / ratio, mode=mode, antialias=True)
        expected = F.interpolate(small, scale_factor=ratio, mode=mode, antialias=True)
    y = Downsample().apply(x, fixed(ratio, 0.0, method, method), generator(0))
    assert torch.allclose(y, expected.clamp(0, 1), atol=1e-4)


def test_blur_agrees_with_kornia() -> None:
    x = torch.rand(1, 3, 64, 64, generator=generator(11))
    y = Downsample().apply(x, fixed(1.0, 1.7, BICUBIC, BILINEAR), generator(0))
    expected = gaussian_blur2d(x, (31, 31), (1.7, 1.7))
    assert torch.allclose(y[..., 12:-12, 12:-12], expected[..., 12:-12, 12:-12], atol=1e-5)


@pytest.mark.parametrize("ratio", [1.37, 2.9, 4.0])
def test_strips_leave_no_seams(ratio: float) -> None:
    """A tall picture, resampled in strips, agrees with its crop, resampled whole, away from the border."""
    x = torch.rand(1, 3, 700, 32, generator=generator(11))
    params = fixed(ratio, 2.5, BICUBIC, BICUBIC)
    rows = slice(round(100 * ratio), round(100 * ratio) + STRIP)
    whole = Downsample().apply(x, params, generator(0))[:, :, rows]
    reference = Downsample().apply(x[:, :, rows], params, generator(0))
    assert torch.allclose(whole[:, :, 40:-40], reference[:, :, 40:-40], atol=1e-5)


def test_uniform_pictures_stay_uniform_to_the_border() -> None:
    x = torch.full((8, 3, 61, 77), 0.7)
    assert torch.allclose(Downsample()(x, generator(1), torch.linspace(0.1, 1, 8)), x, atol=1e-5)


def test_the_strongest_have_the_published_ranges() -> None:
    params = Downsample().draw(500, generator(0), torch.ones(500))
    assert (params["ratio"] == 4).all()
    assert params["sigma"].min() >= 0.2
    assert params["sigma"].max() <= 3
    shares = torch.bincount(params["down"], minlength=3) / 500
    assert torch.allclose(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.06)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="max_ratio"):
        Downsample(max_ratio=0.5)
    with pytest.raises(ValueError, match="methods"):
        Downsample(methods=(1, 1, 0))
