"""Motion and defocus blur: the shape of the kernels, and linear light."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve as reference_convolve

from defusion.degradations.base import Degradation, to_linear, to_srgb
from defusion.degradations.blur import DefocusBlur, MotionBlur, aperture, convolve
from defusion.random import generator

BLURS = {"motion": MotionBlur(), "panning": MotionBlur(straight=1.0), "defocus": DefocusBlur()}


@pytest.mark.parametrize("blur", BLURS.values(), ids=BLURS.keys())
def test_light_is_averaged_in_linear_light(blur: Degradation) -> None:
    """A fine chequerboard of black and white blurs to half the light, not to half the code value."""
    board = (torch.arange(96)[:, None] + torch.arange(96)) % 2
    x = board.float().expand(8, 3, 96, 96)
    y = to_linear(blur(x, generator(0), torch.ones(8)))
    assert torch.allclose(y.mean((1, 2, 3)), torch.full((8,), 0.5), atol=0.01)


@pytest.mark.parametrize("height", [24, 128, 301])
def test_convolution_agrees_with_scipy(height: int) -> None:
    x = torch.rand(2, 3, height, 33, generator=generator(11))
    kernel = MotionBlur().draw(2, generator(1), torch.ones(2))["kernel"]
    y = convolve(x, kernel)
    for index in range(2):
        expected = reference_convolve(x[index, 1].double().numpy(), kernel[index].double().numpy(), mode="mirror")
        assert np.allclose(y[index, 1].numpy(), expected, atol=1e-5)


def test_motion_kernels_are_exposures_about_the_centre() -> None:
    kernel = MotionBlur().draw(64, generator(2), torch.ones(64))["kernel"]
    assert kernel.shape == (64, 27, 27)
    assert (kernel >= 0).all()
    assert torch.allclose(kernel.sum((1, 2)), torch.ones(64), atol=1e-5)
    offset = torch.arange(-13.0, 14.0)
    assert (kernel.sum(1) @ offset).abs().max() < 1e-3
    assert (kernel.sum(2) @ offset).abs().max() < 1e-3


def test_motion_spans_the_published_extent() -> None:
    kernel = MotionBlur().draw(256, generator(3), torch.ones(256))["kernel"]
    offset = torch.arange(-13.0, 14.0)
    distance = torch.hypot(offset[:, None], offset)
    reach = 2 * torch.where(kernel > 1e-4, distance, 0.0).amax((1, 2))
    assert reach.max() <= 25 + 2 * 2**0.5
    assert reach.median() >= 15
    assert (reach >= 10).float().mean() > 0.9


def test_panning_kernels_are_lines() -> None:
    """The covariance of a line's points has one axis only."""
    kernel = BLURS["panning"].draw(32, generator(4), torch.ones(32))["kernel"]
    offset = torch.arange(-13.0, 14.0)
    xx, yy = kernel.sum(1) @ offset**2, kernel.sum(2) @ offset**2
    xy = torch.einsum("nyx,y,x->n", kernel, offset, offset)
    axes = torch.linalg.eigvalsh(torch.stack([xx, xy, xy, yy], dim=1).view(-1, 2, 2))
    assert ((axes[:, 0] < 0.05 * axes[:, 1]).float().mean()) > 0.9


@pytest.mark.parametrize("radius", [1.5, 3.0, 8.0])
def test_round_aperture_has_the_area_and_spread_of_a_disc(radius: float) -> None:
    kernel = aperture(torch.tensor([[radius]]), torch.zeros(1), torch.zeros(1), 8)[0, 0]
    offset = torch.arange(-8.0, 9.0)
    spread = (kernel * (offset[:, None] ** 2 + offset**2)).sum()
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert spread == pytest.approx(radius**2 / 2, rel=0.12)
    assert 1 / kernel.max() == pytest.approx(torch.pi * radius**2, rel=0.06)


def test_blades_turn_with_the_rotation() -> None:
    radius, blades = torch.full((2, 1), 6.0), torch.full((2,), 6.0)
    still, turned = aperture(radius, blades, torch.tensor([0.0, torch.pi / 3]), 8)
    assert torch.allclose(still, turned, atol=1e-5), "a hexagon comes back after a sixth of a turn"
    other = aperture(radius[:1], blades[:1], torch.tensor([torch.pi / 6]), 8)[0]
    assert (still - other).abs().max() > 1e-3


def test_defocus_varies_over_the_picture_and_not_with_its_size() -> None:
    blur = DefocusBlur(min_share=0.25)
    params = blur.draw(1, generator(5), torch.ones(1))
    params |= {"radius": torch.tensor([[1.0, 8.0]]), "depth": torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])}
    for size in (128, 256):
        x = torch.rand(1, 3, size, size, generator=generator(11))
        y = blur.apply(x, params, generator(0))
        left, right = y[..., : size // 4], y[..., -size // 4 :]
        assert left.std() > 2 * right.std()


def test_uniform_light_stays_uniform() -> None:
    x = torch.full((4, 3, 32, 40), 0.3)
    for blur in BLURS.values():
        assert torch.allclose(blur(x, generator(6), torch.ones(4)), x, atol=1e-5)


def test_linear_light_round_trip() -> None:
    x = torch.linspace(0, 1, 1000)
    assert torch.allclose(to_srgb(to_linear(x)), x, atol=1e-6)
