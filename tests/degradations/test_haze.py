"""Haze: Koschmieder's law over a relative depth."""

import torch
import torch.nn.functional as F

from defusion.degradations.haze import Haze
from defusion.random import generator

CPU = torch.device("cpu")


def test_haze_is_koschmieders_law() -> None:
    haze = Haze()
    params = haze.draw(3, generator(0))
    x = torch.rand(3, 3, 40, 56, generator=generator(1))
    transmission = haze.transmission(params, 40, 56, CPU)
    airlight = params["airlight"][..., None, None]
    y = haze.apply(x, params, generator(2))
    torch.testing.assert_close(y, x * transmission + airlight * (1 - transmission))


def test_transmission_is_the_same_at_every_size() -> None:
    haze = Haze()
    params = haze.draw(6, generator(3))
    large = haze.transmission(params, 512, 512, CPU)
    for size in (64, 128):
        small = haze.transmission(params, size, size, CPU)
        torch.testing.assert_close(F.avg_pool2d(large, 512 // size), small, rtol=0, atol=5e-3)


def test_ranges() -> None:
    haze = Haze()
    params = haze.draw(400, generator(4), torch.ones(400))
    transmission = haze.transmission(params, 16, 16, CPU)
    assert transmission.min() >= 0
    assert transmission.max() <= 1
    assert torch.equal(params["beta"], torch.full((400,), haze.beta[1]))
    airlight = params["airlight"]
    assert airlight.min() >= haze.airlight[0] - haze.tint
    assert airlight.max() <= 1
    assert (airlight.amax(1) - airlight.amin(1)).max() <= 2 * haze.tint + 1e-6
    share = float((params["patchiness"] > 0).float().mean())
    assert 0.3 < share < 0.5


def test_thicker_haze_lets_less_through() -> None:
    haze = Haze()
    severities = torch.tensor([0.1, 0.4, 0.7, 1.0])
    means = [
        float(haze.transmission(haze.draw(32, generator(5), torch.full((32,), float(s))), 16, 16, CPU).mean())
        for s in severities
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.8
    assert means[-1] < 0.4
