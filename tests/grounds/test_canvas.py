import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch

from defusion.grounds.canvas import coordinates, even_edges, sine_wave, smooth_noise, square_wave, tiles
from defusion.random import generator

Wave: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def test_coordinates_are_pixel_centres_of_the_same_square_at_every_size() -> None:
    coarse, fine = coordinates(4, "cpu")[0], coordinates(8, "cpu")[0]
    torch.testing.assert_close(coarse, torch.tensor([[-0.75, -0.25, 0.25, 0.75]]))
    torch.testing.assert_close(fine.view(4, 2).mean(1), coarse[0])


@pytest.mark.parametrize("wave", [sine_wave, square_wave])
def test_waves_are_means_over_the_pixel(wave: Wave) -> None:
    width = torch.tensor(0.2)
    phase = torch.linspace(0, 3, 50)
    inside = phase[:, None] + torch.linspace(-0.1, 0.1, 2001)
    plain = torch.cos(2 * math.pi * inside)
    expected = plain if wave is sine_wave else torch.where(inside.remainder(1) < 0.5, 1.0, -1.0)
    torch.testing.assert_close(wave(phase, width), expected.mean(1), atol=2e-3, rtol=0)


@pytest.mark.parametrize("wave", [sine_wave, square_wave])
def test_waves_beyond_nyquist_are_grey(wave: Wave) -> None:
    assert wave(torch.rand(100, generator=generator(1)), torch.tensor(0.5)).abs().max() == 0


def test_tiles_are_area_means() -> None:
    values = torch.rand((2, 3, 5, 7), generator=generator(2))
    fine = tiles(values, even_edges(5, "cpu"), even_edges(7, "cpu"), 64)
    coarse = tiles(values, even_edges(5, "cpu"), even_edges(7, "cpu"), 16)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 4), coarse)
    torch.testing.assert_close(fine[:, :, 0, 0], values[:, :, 0, 0])
    torch.testing.assert_close(fine.mean((-2, -1)), values.mean((-2, -1)))


def test_smooth_noise_is_one_field_at_every_size() -> None:
    coarse = smooth_noise(2, 64, (8, 8), generator(3), "cpu")
    fine = smooth_noise(2, 128, (8, 8), generator(3), "cpu")
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 2), coarse, atol=0.02, rtol=0)
