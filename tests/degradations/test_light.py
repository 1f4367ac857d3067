"""Low light: darker, noisier, and still recoverable."""

import pytest
import torch

from defusion.degradations.light import LowLight
from defusion.random import generator


def test_without_noise_it_is_the_published_curve() -> None:
    low_light = LowLight(shot=(0.0, 0.0), read=(0.0, 0.0))
    params = low_light.draw(3, generator(0))
    x = torch.rand(3, 3, 16, 16, generator=generator(1))
    scale, brightness, gamma = (params[name][:, None, None, None] for name in ("scale", "brightness", "gamma"))
    expected = brightness * (scale * x) ** gamma
    torch.testing.assert_close(low_light.apply(x, params, generator(2)), expected)


def test_noise_has_the_variance_of_the_model() -> None:
    low_light = LowLight()
    params = low_light.draw(1, generator(0), torch.tensor([0.5]))
    x = torch.full((1, 3, 128, 128), 0.8)
    y = low_light.apply(x, params, generator(1))
    variance = float(params["shot"] * y.mean() + params["read"] ** 2)
    assert float(y.var()) == pytest.approx(variance, rel=0.05)


def test_the_strongest_is_not_black() -> None:
    """A mid-grey keeps several 8-bit levels, above the noise; inverting the curve brings the picture back."""
    low_light = LowLight()
    params = low_light.draw(16, generator(0), torch.ones(16))
    y = low_light.apply(torch.full((16, 3, 64, 64), 0.5), params, generator(1))
    level, noise = y.mean(dim=(1, 2, 3)), y.std(dim=(1, 2, 3))
    assert level.min() > 8 / 255
    assert (level > 3 * noise).all()
    recovered = (level / params["brightness"]) ** (1 / params["gamma"]) / params["scale"]
    torch.testing.assert_close(recovered, torch.full((16,), 0.5), rtol=0, atol=0.02)


def test_mid_severity_is_plainly_dark() -> None:
    y = LowLight()(torch.full((16, 3, 16, 16), 0.45), generator(0), torch.full((16,), 0.5))
    assert 0.05 < float(y.mean()) < 0.2
