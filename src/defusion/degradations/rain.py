"""Rain: drops near and far, drawn out to streaks by the exposure."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import Range, between, by_severity, enlarge, expose, gaussian_blur, scatter
from defusion.random import Generators, uniform
from defusion.types import Image, Params

_DISTANCES = (1, 2, 3)
"""Streaks k times nearer are k times longer and wider, k^2 times rarer, and more out of focus."""
_MAX_STRETCH = 1.5
"""The longest streak over the mean length; the shortest has half of it."""
_ANGLE_SCATTER = math.radians(1.5)
_STREAK_WIDTH = 0.45
"""Standard deviation across a streak, in cells."""


@dataclass(frozen=True)
class Rain(Degradation):
    """Rain streaks and the veil of heavy rain: `y = (1 - v)(x + S(1 - k x)) + v A`.

    The streak layer S is sparse noise, motion-blurred along one direction a sample, at three
    distances (Rain100L/H, Yang et al., CVPR 2017; Rain1400, Fu et al., CVPR 2017). It is added
    (k = 0) or screened (k = 1) or anything between. The veil comes after the streaks, as in heavy
    rain (Li et al., CVPR 2019). Ranges of strengths run from severity 0 to severity 1.

    Attributes:
        angle: direction of the fall against the vertical, degrees.
        density: streaks a square pixel at the farthest distance.
        length: pixels, at the farthest distance; up to 4.5 times as much near the camera.
        gain: brightness of the brightest streaks.
        veil: share of the picture that heavy rain veils; grows with the square of severity.
        airlight: brightness of the veil.
    """

    angle: Range = (-35.0, 35.0)
    density: Range = (0.002, 0.012)
    length: Range = (10.0, 24.0)
    gain: Range = (0.0, 0.9)
    veil: Range = (0.0, 0.35)
    airlight: Range = (0.6, 0.9)

    name = "rain"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (7,), generators).unbind(1)
        return {
            "severity": severity,
            "angle": torch.deg2rad(between(unit[0], self.angle)),
            "density": by_severity(severity, unit[1], self.density),
            "length": by_severity(severity, unit[2], self.length),
            "gain": by_severity(severity, unit[3], self.gain),
            "screen": unit[4],
            "veil": unit[5] * between(severity**2, self.veil),
            "airlight": between(unit[6], self.airlight),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = x.float()
        own = {name: per_sample(value, picture) for name, value in params.items()}
        streaks = own["gain"] * self._streaks(picture, params, generators)
        rainy = (picture + streaks * (1 - own["screen"] * picture)).clamp_(0, 1)
        return torch.lerp(rainy, own["airlight"].expand_as(rainy), own["veil"]).to(x.dtype)

    def _streaks(self, x: Tensor, params: Params, generators: Generators) -> Tensor:
        """All streaks of all distances, about 1 in the brightest: (n, 1, H, W)."""
        n, size = len(x), (x.shape[-2], x.shape[-1])
        angle, density, length = (params[name].to(x.device) for name in ("angle", "density", "length"))
        width = torch.full((n,), _STREAK_WIDTH, device=x.device)
        total = torch.zeros(n, 1, *size, device=x.device)
        for cell in _DISTANCES:
            longest = cell * max(self.length) * _MAX_STRETCH
            sample, place, marks = scatter(
                size, density / cell**2, max(self.density) / cell**2, longest / 2, 3, generators
            )
            stretch = cell * length[sample] * (_MAX_STRETCH - marks[:, 0])
            fall = angle[sample] + _ANGLE_SCATTER * (2 * marks[:, 1] - 1)
            path = stretch[:, None] * torch.stack([fall.cos(), fall.sin()], dim=1)
            light = marks[:, 2] ** 2 * stretch / cell**2
            streaks = expose(n, size, sample, place, path, light, cell, tapered=True)
            total += enlarge(gaussian_blur(streaks, width, radius=2), cell, size)
        return total
