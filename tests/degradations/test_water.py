"""Underwater: red goes first, a bluish-green veil comes."""

import pytest
import torch
import torch.nn.functional as F

from defusion.degradations.water import JERLOV, Underwater
from defusion.random import generator

CPU = torch.device("cpu")


def test_red_is_attenuated_most() -> None:
    water = Underwater()
    params = water.draw(100, generator(0), torch.full((100,), 0.7))
    red, green, blue = water.transmission(params, 16, 16, CPU).unbind(1)
    assert (red < green).all()
    assert (red < blue).all()
    assert red.min() > 0
    assert torch.maximum(green, blue).max() <= 1


def test_beta_lies_between_the_water_types() -> None:
    beta, table = Underwater().draw(300, generator(1))["beta"], torch.tensor(JERLOV)
    assert (beta >= table.amin(0) - 1e-6).all()
    assert (beta <= table.amax(0) + 1e-6).all()
    assert (beta[:, 2] < beta[:, 1]).any()  # the ocean is blue
    assert (beta[:, 2] > beta[:, 1]).any()  # the coast is green


def test_the_veil_is_bluish_green() -> None:
    red, green, blue = Underwater().draw(300, generator(2))["veil"].unbind(1)
    assert (red < 0.6 * torch.maximum(green, blue)).all()
    assert (torch.maximum(green, blue) <= Underwater().veil[1]).all()
    assert (green > blue).any()
    assert (blue > green).any()


def test_without_blur_and_noise_it_is_the_formation_model() -> None:
    water = Underwater(blur=(0.0, 0.0), noise=(0.0, 0.0))
    params = water.draw(3, generator(3))
    x = torch.rand(3, 3, 40, 32, generator=generator(4))
    transmission = water.transmission(params, 40, 32, CPU)
    veil = params["veil"][..., None, None]
    expected = x * transmission + veil * (1 - transmission)
    torch.testing.assert_close(water.apply(x, params, generator(5)), expected)


def test_transmission_is_the_same_at_every_size() -> None:
    water = Underwater()
    params = water.draw(4, generator(6))
    large = water.transmission(params, 512, 512, CPU)
    for size in (64, 128):
        small = water.transmission(params, size, size, CPU)
        torch.testing.assert_close(F.avg_pool2d(large, 512 // size), small, rtol=0, atol=5e-3)


def test_noise_has_its_standard_deviation() -> None:
    water = Underwater(blur=(0.0, 0.0))
    params = water.draw(1, generator(7), torch.ones(1))
    x = torch.full((1, 3, 96, 96), 0.5)
    clean = Underwater(blur=(0.0, 0.0)).apply(x, params | {"noise": torch.zeros(1)}, generator(8))
    noise = water.apply(x, params, generator(8)) - clean
    assert float(noise.std()) == pytest.approx(water.noise[1], rel=0.05)
