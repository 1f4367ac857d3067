"""Rain streaks: their direction, their growth, the veil."""

import math

import pytest
import torch

from defusion.degradations.fields import gaussian_blur
from defusion.degradations.rain import Rain
from defusion.random import generator
from defusion.types import Params


def drawn(severity: float, **fixed: float) -> Params:
    params = Rain().draw(1, generator(0), torch.tensor([severity]))
    params["veil"] = torch.zeros(1)
    return params | {name: torch.tensor([value]) for name, value in fixed.items()}


@pytest.mark.parametrize("degrees", [-30.0, 0.0, 30.0])
def test_streaks_lie_along_the_angle(degrees: float) -> None:
    params = drawn(0.6, angle=math.radians(degrees))
    y = Rain().apply(torch.zeros(1, 3, 256, 256), params, generator(1))
    y = gaussian_blur(y, torch.tensor([1.5]), radius=5)[0, 0]
    down, across = y[2:, 1:-1] - y[:-2, 1:-1], y[1:-1, 2:] - y[1:-1, :-2]
    # The gradient lies across the streaks: the structure tensor is smallest along them.
    structure = torch.tensor(
        [[(down * down).sum(), (down * across).sum()], [(down * across).sum(), (across * across).sum()]]
    )
    direction = torch.linalg.eigh(structure).eigenvectors[:, 0]
    measured = math.degrees(math.atan(float(direction[1] / direction[0])))
    assert measured == pytest.approx(degrees, abs=4)


def test_without_veil_rain_only_brightens_and_is_sparse() -> None:
    x = torch.full((1, 3, 256, 256), 0.3)
    residual = Rain().apply(x, drawn(0.5), generator(1)) - x
    assert residual.min() > -1e-6
    assert residual.median() < 0.02
    assert residual.max() > 0.3
    assert torch.equal(residual[:, 0], residual[:, 1])


def test_screened_rain_is_weaker_on_bright_ground() -> None:
    x = torch.full((1, 3, 128, 128), 0.6)
    added = Rain().apply(x, drawn(0.4, screen=0.0), generator(1))
    screened = Rain().apply(x, drawn(0.4, screen=1.0), generator(1))
    assert (screened <= added).all()
    assert screened.mean() < added.mean()


def test_the_veil_comes_after_the_streaks() -> None:
    x = torch.full((1, 3, 96, 96), 0.2)
    bare = Rain().apply(x, drawn(0.8), generator(1))
    veiled = Rain().apply(x, drawn(0.8, veil=0.4, airlight=0.7), generator(1))
    torch.testing.assert_close(veiled, 0.6 * bare + 0.4 * 0.7)


def test_heavy_rain_is_veiled_and_light_rain_hardly() -> None:
    rain = Rain()
    light, heavy = (rain.draw(200, generator(2), torch.full((200,), s))["veil"] for s in (0.2, 1.0))
    assert light.max() <= rain.veil[1] * 0.2**2
    assert heavy.mean() > 0.3 * rain.veil[1]
