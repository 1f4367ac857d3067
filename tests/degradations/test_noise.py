"""Noise: the statistics of each of its kinds."""

import pytest
import torch

from defusion.degradations.noise import CAMERA, GAUSSIAN, POISSON, Noise
from defusion.random import generator

CAMERA_NOISE = Noise(kinds=(0, 1, 0))


def test_kinds_have_their_probabilities() -> None:
    kind = Noise().draw(4000, generator(0))["kind"]
    shares = torch.bincount(kind, minlength=3) / 4000
    assert torch.allclose(shares, torch.tensor([0.6, 0.25, 0.15]), atol=0.03)


def test_parameters_of_other_kinds_are_0() -> None:
    params = Noise().draw(200, generator(0))
    for name, own in (("sigma", GAUSSIAN), ("shot", CAMERA), ("read", CAMERA), ("poisson", POISSON)):
        assert ((params[name] > 0) == (params["kind"] == own)).all()


@pytest.mark.parametrize("sigma", [15.0, 25.0, 50.0])
def test_gaussian_noise_has_the_sigma_asked_for(sigma: float) -> None:
    noise = Noise.gaussian()
    x = torch.full((2, 3, 256, 256), 0.5)
    params = noise.draw(2, generator(1), torch.full((2,), noise.severity(sigma)))
    assert params["sigma"].tolist() == pytest.approx([sigma, sigma])
    residual = 255 * (noise.apply(x, params, generator(2)) - x)
    assert residual.std() == pytest.approx(sigma, rel=0.02)
    assert abs(residual.mean()) < 0.02 * sigma
    lag_1 = (residual[..., 1:] * residual[..., :-1]).mean() / residual.var()
    assert abs(lag_1) < 0.01


def test_camera_parameters_span_the_published_range() -> None:
    params = CAMERA_NOISE.draw(2000, generator(3))
    shot, read = params["shot"].log(), params["read"].log()
    assert params["shot"].min() >= 1e-4
    assert params["shot"].max() <= 0.012
    error = read - (2.18 * shot + 1.2)
    assert error.std() == pytest.approx(0.26, rel=0.1)
    white = params["camera"].sum(2)
    assert (white[:, 0] < white[:, 1]).all(), "a sensor sees less red than green in white light"


def test_camera_noise_is_coloured_correlated_and_stronger_in_the_light() -> None:
    noise = CAMERA_NOISE
    grey = torch.linspace(0.1, 0.6, 6)[:, None, None, None].expand(6, 3, 128, 128)
    params = noise.draw(1, generator(4), torch.tensor([0.4]))
    params = {name: value.repeat(6, *[1] * (value.ndim - 1)) for name, value in params.items()}
    residual = noise.apply(grey, params, generator(5)) - grey
    deviation = residual.std((1, 2, 3))
    assert deviation[3] > 1.3 * deviation[0], "shot noise grows with the light"
    chroma = residual[:, 0] - residual[:, 1]
    correlation = (chroma[..., 1:] * chroma[..., :-1]).mean() / chroma.var()
    assert correlation > 0.2, "demosaicing spreads the noise over neighbours"


def test_poisson_noise_has_the_variance_of_photons() -> None:
    noise = Noise(kinds=(0, 0, 1), grey=0.0)
    level = torch.tensor([0.2, 0.4, 0.6])[:, None, None, None]
    x = level.expand(3, 3, 256, 256)
    residual = noise(x, generator(6), torch.full((3,), 1 / 3)) - x
    assert torch.allclose(residual.var((1, 2, 3)), level.flatten() / 256, rtol=0.05)


def test_grey_poisson_noise_has_no_colour() -> None:
    x = torch.rand(4, 3, 32, 32, generator=generator(11)) * 0.4 + 0.3
    residual = Noise(kinds=(0, 0, 1), grey=1.0)(x, generator(7), torch.full((4,), 0.1)) - x
    assert residual.abs().max() > 0
    assert torch.allclose(residual[:, 0], residual[:, 1], atol=1e-6)
    assert torch.allclose(residual[:, 0], residual[:, 2], atol=1e-6)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="kinds"):
        Noise(kinds=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="sigma"):
        Noise().severity(60)
