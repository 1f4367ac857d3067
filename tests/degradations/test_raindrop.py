"""Drops on glass: their coverage, their rim, what they show."""

import pytest
import torch

from defusion.degradations.raindrop import Raindrop
from defusion.random import generator
from defusion.types import Params


def drawn(severity: float, n: int = 1, **fixed: float) -> Params:
    params = Raindrop().draw(n, generator(0), torch.full((n,), severity))
    return params | {name: torch.full((n,), value) for name, value in fixed.items()}


def coverage(params: Params, size: int, repeats: int) -> float:
    """Share of a grey picture that drops change: plainly darker or brighter."""
    n = len(params["severity"])
    x = torch.full((n, 3, size, size), 0.5)
    return (
        sum(
            float(((Raindrop().apply(x, params, generator(key)) - x).abs() > 0.02).float().mean())
            for key in range(repeats)
        )
        / repeats
    )


def test_coverage_is_the_same_on_crops_and_large_pictures() -> None:
    params = drawn(0.6, n=2)
    large = coverage(params, 512, 1)
    assert 0.05 < large < 0.5
    assert coverage(params, 64, 24) == pytest.approx(large, rel=0.2)
    assert coverage(params, 128, 8) == pytest.approx(large, rel=0.2)


def test_severity_covers_more() -> None:
    covered = [coverage(drawn(severity, softness=4.0), 256, 1) for severity in (0.1, 0.4, 0.7, 1.0)]
    assert covered == sorted(covered)


def test_drops_are_brighter_below_than_above() -> None:
    x = torch.full((1, 3, 256, 256), 0.5)
    params = drawn(1.0, shading=0.5, rim=0.0, opacity=1.0)
    residual = (Raindrop().apply(x, params, generator(1)) - x)[0, 0]
    dark, bright = residual < -0.05, residual > 0.05
    bright_below = (dark[:-6] & bright[6:]).sum()
    bright_above = (bright[:-6] & dark[6:]).sum()
    assert bright_below > 2 * bright_above
    assert float(residual.mean()) == pytest.approx(0, abs=0.02)


def test_a_drop_shows_the_inverted_background() -> None:
    """On a horizontal ramp the left of a drop is brighter than the ramp, the right darker."""
    x = torch.linspace(0, 1, 256).expand(1, 3, 256, 256)
    params = drawn(1.0, shading=0.0, rim=0.0, opacity=1.0, softness=3.0, reach=60.0)
    y = Raindrop().apply(x, params, generator(1))[0, 0]
    changed = (y - x[0, 0]).abs() > 0.05
    slope = (y[:, 2:] - y[:, :-2])[changed[:, 1:-1]].median()
    assert slope < -2 / 255


def test_drops_are_defocused() -> None:
    """Of a pattern of single pixels nothing is left inside a drop."""
    x = ((torch.arange(128)[:, None] + torch.arange(128)) % 2).float().expand(1, 3, 128, 128)
    params = drawn(1.0, shading=0.0, rim=0.0, opacity=1.0, softness=3.0)
    y = Raindrop().apply(x, params, generator(1))[0, 0]
    assert float(((y - 0.5).abs() < 0.02).float().mean()) > 0.1


def test_opacity_bounds_the_change() -> None:
    x = torch.rand(1, 3, 96, 96, generator=generator(2))
    y = Raindrop().apply(x, drawn(1.0, opacity=0.25), generator(1))
    assert float((y - x).abs().max()) <= 0.25 + 1e-6
