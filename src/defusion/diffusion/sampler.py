"""Samplers: functions of `denoise(y_t, t) -> y_0`."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from defusion.diffusion.schedule import Schedule
from defusion.random import Normals

Denoise = Callable[[Tensor, Tensor], Tensor]
Sampler = Literal["ddim", "sde"]


def trajectory(
    denoise: Denoise,
    shape: Sequence[int],
    draw: Normals,
    schedule: Schedule,
    steps: int,
    sampler: Sampler = "ddim",
) -> Iterator[Tensor]:
    """Runs from y_1 ~ N(0, I) to y_0 in trailing time steps t = 1, 1 - 1/steps, ..., yielding each estimate of y_0.

    Args:
        denoise: (y_t (B, 3, H, W), t (B,)) -> estimate of y_0.
        shape: of y_t, (B, 3, H, W).
        draw: y_1, and after it the noise of the SDE step by step, on the device of the result.
        schedule: alpha and sigma.
        steps: number of evaluations of `denoise`.
        sampler: "ddim", the probability flow (Song et al., 2021), or "sde", the reverse SDE (Eq. 12).
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    y = draw(shape)
    times = torch.linspace(1, 0, steps + 1, device=y.device)
    for t, s in itertools.pairwise(times):
        y0 = denoise(y, t.expand(len(y)))
        yield y0
        if s > 0:
            y = ddim_step(y, y0, t, s, schedule) if sampler == "ddim" else sde_step(y, y0, t, s, schedule, draw)


def ddim_step(y: Tensor, y0: Tensor, t: Tensor, s: Tensor, schedule: Schedule) -> Tensor:
    """y_s = alpha_s y_0 + sigma_s eps, with the eps that y_t and y_0 imply (Song et al., 2021, Eq. 12)."""
    eps = (y - schedule.alpha(t) * y0) / schedule.sigma(t)
    return schedule.alpha(s) * y0 + schedule.sigma(s) * eps


def sde_step(y: Tensor, y0: Tensor, t: Tensor, s: Tensor, schedule: Schedule, draw: Normals) -> Tensor:
    """The exact solution of the reverse SDE from t to s for y_0 held fixed (Eq. 12; Lu et al., 2022, Eq. 18).

    With r = (alpha_t / sigma_t) (sigma_s / alpha_s):
    y_s = (sigma_s / sigma_t) r y_t + alpha_s (1 - r^2) y_0 + sigma_s sqrt(1 - r^2) z. It is finite
    at zero terminal SNR (r = 0), where the drift f of Eq. 12 is not.
    """
    ratio = schedule.alpha(t) / schedule.sigma(t) * schedule.sigma(s) / schedule.alpha(s)
    fresh = 1 - ratio**2
    z = draw(y.shape).to(y.dtype)
    mean = schedule.sigma(s) / schedule.sigma(t) * ratio * y + schedule.alpha(s) * fresh * y0
    return mean + schedule.sigma(s) * fresh.sqrt() * z
