"""Schedules, parametrisations and samplers: inverses, closed forms, distributions."""

import pytest
import torch

from defusion.diffusion.loss import SMALLEST_ERROR, objective
from defusion.diffusion.process import Process
from defusion.diffusion.sampler import ddim_step, sde_step, trajectory
from defusion.diffusion.schedule import SCHEDULES, Cosine
from defusion.random import normals

T = torch.linspace(0, 1, 101, dtype=torch.float64)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_run_from_signal_to_noise(name: str) -> None:
    schedule = SCHEDULES[name]()
    alpha, sigma = schedule.alpha(T), schedule.sigma(T)
    assert alpha[0] == 1
    assert sigma[0] == 0
    assert (alpha.diff() < 0).all()
    assert (sigma.diff() > 0).all()
    assert alpha[-1] < 0.01


@pytest.mark.parametrize("name", ["cosine", "variance_preserving"])
def test_variance_is_preserved(name: str) -> None:
    schedule = SCHEDULES[name]()
    assert torch.allclose(schedule.alpha(T) ** 2 + schedule.sigma(T) ** 2, torch.ones_like(T))


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_terminal_signal_is_exactly_zero(name: str) -> None:
    assert SCHEDULES[name]().alpha(torch.ones(1)).item() == 0


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", ["eps", "v", "y0"])
def test_every_prediction_gives_y0_back(schedule: str, prediction: str) -> None:
    process = Process(schedule, prediction)  # type: ignore[arg-type]
    y0, eps = torch.rand(5, 3, 4, 4) * 2 - 1, torch.randn(5, 3, 4, 4)
    t = torch.tensor([0.05, 0.3, 0.5, 0.7, 0.9])
    if prediction == "v" and schedule == "linear":
        pytest.skip("v inverts for variance-preserving schedules")
    found = process.to_y0(process.target(y0, eps, t), process.noised(y0, eps, t), t)
    assert torch.allclose(found, y0, atol=2e-3)


def test_y0_is_clipped_to_its_range() -> None:
    process = Process(prediction="eps", scale=2.0)
    found = process.to_y0(torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4), torch.ones(1))
    assert found.abs().max() == 2


@pytest.mark.parametrize("sampler", ["ddim", "sde"])
@pytest.mark.parametrize("steps", [1, 4, 10])
def test_samplers_end_at_the_y0_of_a_perfect_denoiser(sampler: str, steps: int) -> None:
    y0 = torch.rand(2, 3, 8, 8)
    estimates = list(
        trajectory(lambda y, t: y0, y0.shape, normals(torch.Generator()), Cosine(), steps, sampler)  # type: ignore[arg-type]
    )
    assert len(estimates) == steps
    assert torch.equal(estimates[-1], y0)


def test_ddim_stays_on_its_path() -> None:
    """With the true y_0 a step from t to s gives alpha_s y_0 + sigma_s eps of the same eps."""
    schedule, t, s = Cosine(), torch.tensor(0.8), torch.tensor(0.3)
    y0, eps = torch.rand(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    y = schedule.alpha(t) * y0 + schedule.sigma(t) * eps
    assert torch.allclose(ddim_step(y, y0, t, s, schedule), schedule.alpha(s) * y0 + schedule.sigma(s) * eps, atol=1e-6)


@pytest.mark.parametrize("start", [0.6, 1.0])
def test_the_reverse_sde_keeps_the_marginal(start: float) -> None:
    """From y_t ~ N(alpha_t y_0, sigma_t^2) a step gives y_s ~ N(alpha_s y_0, sigma_s^2) (Eqs. 10 and 12)."""
    schedule, t, s = Cosine(), torch.tensor(start), torch.tensor(0.4)
    y0 = torch.full((1, 1, 400, 400), 0.7)
    draw = torch.Generator().manual_seed(0)
    y = schedule.alpha(t) * y0 + schedule.sigma(t) * torch.randn(y0.shape, generator=draw)
    y = sde_step(y, y0, t, s, schedule, normals(draw))
    assert y.mean().item() == pytest.approx(float(schedule.alpha(s) * 0.7), abs=0.01)
    assert y.std().item() == pytest.approx(float(schedule.sigma(s)), rel=0.01)


def test_a_sampler_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="steps: expected at least 1"):
        next(trajectory(lambda y, t: y, (1, 3, 2, 2), normals(torch.Generator()), Cosine(), 0))


def test_objectives_have_their_closed_forms() -> None:
    prediction, target = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    target[1] *= 3
    assert objective(prediction, target, "mse").tolist() == [1, 9]
    expected = torch.tensor([1 + SMALLEST_ERROR**2, 9 + SMALLEST_ERROR**2]).sqrt()
    assert torch.allclose(objective(prediction, target, "rmse"), expected)


def test_rmse_pulls_every_sample_equally() -> None:
    """Its gradient has one size for a large error and for one ten times smaller; that of MSE has not."""
    target = torch.stack([torch.full((3, 4, 4), 1.0), torch.full((3, 4, 4), 0.1)])
    for kind, ratio in (("rmse", 1.0), ("mse", 10.0)):
        prediction = torch.zeros(2, 3, 4, 4, requires_grad=True)
        objective(prediction, target, kind).sum().backward()  # type: ignore[arg-type]
        large, small = prediction.grad.flatten(1).norm(dim=1)  # type: ignore[union-attr]
        assert (large / small).item() == pytest.approx(ratio, rel=0.03)


def test_the_network_never_sees_noise_without_signal() -> None:
    y = torch.randn(2, 3, 4, 4)
    assert Process().network_input(y, torch.ones(2)).abs().max() == 0
    assert torch.equal(Process().network_input(y, torch.zeros(2)), y)
    assert torch.equal(Process(prediction="eps").network_input(y, torch.ones(2)), y)
