"""Snow: a mask between the picture and the colour of the flakes."""

import pytest
import torch

from defusion.degradations.snow import Snow
from defusion.random import generator
from defusion.types import Params


def drawn(severity: float, **fixed: float) -> Params:
    params = Snow().draw(1, generator(0), torch.tensor([severity]))
    params["veil"] = torch.zeros(1)
    return params | {name: torch.tensor([value]) for name, value in fixed.items()}


def mask(params: Params, size: int = 160) -> torch.Tensor:
    """M, from black and white grounds: the flakes' part of the picture."""
    black, white = (Snow().apply(torch.full((1, 3, size, size), value), params, generator(1)) for value in (0.0, 1.0))
    return 1 - (white - black)


def test_snow_is_a_mix_of_the_picture_and_the_colour_of_the_flakes() -> None:
    params = drawn(0.6, brightness=0.9)
    covered = mask(params)
    assert covered.min() > -1e-6
    assert covered.max() < 1 + 1e-6
    x = torch.rand(1, 3, 160, 160, generator=generator(2))
    y = Snow().apply(x, params, generator(1))
    torch.testing.assert_close(y, x * (1 - covered) + 0.9 * covered, rtol=0, atol=1e-5)


def test_flakes_are_opaque_in_their_middle_and_leave_most_of_the_picture() -> None:
    covered = mask(drawn(0.5, opacity=1.0, motion=0.5))
    assert covered.max() > 0.95
    assert 0.03 < float(covered.mean()) < 0.3
    assert covered.median() < 0.2


def test_density_covers_more() -> None:
    coverage = [float(mask(drawn(severity)).mean()) for severity in (0.1, 0.4, 0.7, 1.0)]
    assert coverage == sorted(coverage)
    assert coverage[-1] > 3 * coverage[0]


def test_motion_draws_the_flakes_out_along_the_fall() -> None:
    covered = mask(drawn(0.3, motion=2.5, angle=0.0))[0, 0]
    down, across = (
        (covered[1:] - covered[:-1]).square().mean(),
        (covered[:, 1:] - covered[:, :-1]).square().mean(),
    )
    assert across > 1.3 * down


def test_veil() -> None:
    params = drawn(0.0, veil=0.25, brightness=0.8)
    y = Snow().apply(torch.full((1, 3, 32, 32), 0.2), params, generator(1))
    assert y.mean().item() == pytest.approx(0.75 * 0.2 + 0.25 * 0.8, abs=1e-6)
