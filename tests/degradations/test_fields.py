"""Smooth fields in relative coordinates, and particles in pixels."""

import math

import pytest
import torch
import torch.nn.functional as F

from defusion.degradations.fields import (
    by_severity,
    depth,
    draw_depth,
    draw_waves,
    enlarge,
    expose,
    gaussian_blur,
    scatter,
    smooth_field,
)
from defusion.random import generator

CPU = torch.device("cpu")


def test_by_severity_runs_from_one_bound_to_the_other() -> None:
    unit = torch.linspace(0, 1, 5)
    assert torch.equal(by_severity(torch.zeros(5), unit, (1.0, 3.0)), torch.ones(5))
    torch.testing.assert_close(by_severity(torch.ones(5), unit, (1.0, 3.0)), torch.full((5,), 3.0))
    middle = by_severity(torch.full((5,), 0.5), unit, (1.0, 3.0))
    assert middle.tolist() == pytest.approx([1.9, 1.95, 2.0, 2.05, 2.1])


def test_smooth_field_is_the_sum_of_its_waves() -> None:
    waves = draw_waves(2, generator(0), cycles=2.0)
    field = smooth_field(waves, 20, 30, CPU)
    down, across = (7 + 0.5) / 20, (11 + 0.5) / 30
    phase = waves[..., 0] * down + waves[..., 1] * across + waves[..., 2]
    expected = math.sqrt(2 / waves.shape[1]) * torch.cos(2 * math.pi * phase).sum(1)
    torch.testing.assert_close(field[:, 0, 7, 11], expected, rtol=0, atol=1e-5)


def test_smooth_field_has_variance_one_over_the_draws() -> None:
    field = smooth_field(draw_waves(2000, generator(0), cycles=2.0), 2, 2, CPU)
    assert float(field.mean()) == pytest.approx(0, abs=0.05)
    assert float(field.var()) == pytest.approx(1, abs=0.07)


def test_depth_is_the_same_scene_at_every_size() -> None:
    params = draw_depth(4, generator(1))
    large = depth(params, 512, 384, CPU)
    assert large.min() > 0
    assert large.max() < 1
    torch.testing.assert_close(F.avg_pool2d(large, 8), depth(params, 64, 48, CPU), rtol=0, atol=2e-3)


def test_depth_recedes_from_the_ground_to_the_sky() -> None:
    rows = depth(draw_depth(200, generator(2)), 16, 16, CPU).mean(dim=(0, 1, 3))
    assert (rows[:-1] > rows[1:]).all()
    assert float(rows[0] - rows[-1]) > 0.3


def test_scatter_throws_as_many_particles_as_the_rate_says() -> None:
    rate = torch.tensor([0.0, 0.01, 0.02])
    sample, place, marks = scatter((100, 200), rate, 0.02, 10.0, 2, generator(3))
    assert sample.bincount(minlength=3).tolist() == pytest.approx([0, 264, 528], abs=60)
    assert marks.shape == (len(sample), 2)
    low, high = place.amin(0), place.amax(0)
    assert (low >= -10).all()
    assert float(high[0]) <= 110
    assert float(high[1]) <= 210


def test_scatter_keeps_the_particles_of_a_lower_rate() -> None:
    few = scatter((64, 64), torch.tensor([0.005]), 0.02, 0.0, 0, generator(4))[1]
    many = scatter((64, 64), torch.tensor([0.02]), 0.02, 0.0, 0, generator(4))[1]
    assert 0 < len(few) < len(many)
    assert all((many == particle).all(1).any() for particle in few)


@pytest.mark.parametrize("tapered", [False, True])
@pytest.mark.parametrize("cell", [1, 3])
def test_expose_keeps_all_light_in_its_place(tapered: bool, cell: int) -> None:
    place, path = torch.tensor([[30.0, 33.0]]), torch.tensor([[20.0, -9.0]])
    field = expose(2, (60, 60), torch.tensor([1]), place, path, torch.tensor([5.0]), cell, tapered)
    assert torch.equal(field[0], torch.zeros_like(field[0]))
    light = field[1, 0]
    assert float(light.sum()) == pytest.approx(5, rel=0.02)
    centres = (torch.arange(len(light)) + 0.5) * cell
    assert float((light.sum(1) * centres).sum() / light.sum()) == pytest.approx(30, abs=0.1)
    assert float((light.sum(0) * centres).sum() / light.sum()) == pytest.approx(33, abs=0.1)
    lit = light.nonzero() * cell
    assert float(lit[:, 0].max() - lit[:, 0].min()) == pytest.approx(20, abs=2 * cell)


def test_expose_cuts_what_lies_outside() -> None:
    place = torch.tensor([[-40.0, 8.0], [8.0, 200.0], [0.0, 8.0]])
    path = torch.tensor([[0.0, 0.0], [5.0, 5.0], [10.0, 0.0]])
    field = expose(1, (16, 16), torch.zeros(3, dtype=torch.int64), place, path, torch.ones(3))
    assert float(field.sum()) == pytest.approx(0.5, abs=0.06)
    assert field[0, 0, 6:].sum() == 0


def test_expose_does_not_depend_on_the_order_of_the_particles() -> None:
    unit = torch.rand(500, 5, generator=generator(5))
    sample, order = torch.zeros(500, dtype=torch.int64), torch.randperm(500, generator=generator(6))
    place, path, light = unit[:, :2] * 32, unit[:, 2:4] * 9, unit[:, 4]
    forward = expose(1, (32, 32), sample, place, path, light)
    shuffled = expose(1, (32, 32), sample, place[order], path[order], light[order])
    assert torch.equal(forward, shuffled)


def test_gaussian_blur_has_its_own_sigma_for_each_sample() -> None:
    x = torch.zeros(3, 1, 31, 31)
    x[:, :, 15, 15] = 1
    y = gaussian_blur(x, torch.tensor([0.0, 0.8, 1.5]), radius=6)
    assert torch.equal(y[0], x[0])
    offset = torch.arange(31) - 15
    for row, sigma in ((1, 0.8), (2, 1.5)):
        assert float(y[row].sum()) == pytest.approx(1, rel=1e-5)
        assert float((y[row, 0].sum(1) * offset**2).sum()) == pytest.approx(sigma**2, rel=0.02)


def test_gaussian_blur_keeps_a_constant_up_to_its_borders() -> None:
    x = torch.full((1, 3, 16, 16), 0.7)
    torch.testing.assert_close(gaussian_blur(x, torch.tensor([2.0]), radius=3), x)


def test_enlarge_cuts_to_the_size() -> None:
    field = torch.rand(1, 1, 6, 7, generator=generator(7))
    assert enlarge(field, 3, (17, 20)).shape == (1, 1, 17, 20)
    assert torch.equal(enlarge(field, 1, (6, 7)), field)
