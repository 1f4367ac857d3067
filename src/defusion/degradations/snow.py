"""Snow: flakes near and far, falling before the scene."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import Range, between, by_severity, enlarge, expose, gaussian_blur, scatter
from defusion.random import Generators, uniform
from defusion.types import Image, Params

_NEAREST_FIRST = ((8, 0.55, 0.04), (4, 0.75, 0.12), (2, 0.9, 0.5), (1, 1.0, 1.0))
"""Flakes by distance: (width in pixels of a cell, how opaque, how many a cell)."""
_CRYSTALS = 5
"""Points of light of which a flake is made: its irregular outline."""


@dataclass(frozen=True)
class Snow(Degradation):
    """Falling snow: `y = x(1 - M) + c M`, then an optional veil of the same colour.

    The mask M holds flakes at four distances: the nearer, the larger, rarer, more blurred and more
    transparent; all are drawn out along one direction of fall. This gives the three kinds of
    masks of Snow100K (Liu et al., TIP 2018). Ranges of strengths run from severity 0 to severity 1.

    Attributes:
        angle: direction of the fall against the vertical, degrees.
        density: far flakes a square pixel.
        motion: path of a flake during the exposure, in its own widths.
        opacity: of the farthest flakes.
        brightness: c.
        veil: share of the picture that is veiled; grows with the square of severity.
    """

    angle: Range = (-45.0, 45.0)
    density: Range = (0.0, 0.04)
    motion: Range = (0.0, 2.5)
    opacity: Range = (0.7, 1.0)
    brightness: Range = (0.85, 1.0)
    veil: Range = (0.0, 0.25)

    name = "snow"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (7,), generators).unbind(1)
        return {
            "severity": severity,
            "angle": torch.deg2rad(between(unit[0], self.angle)),
            "density": by_severity(severity, unit[1], self.density),
            "motion": between(unit[2], self.motion),
            "opacity": between(unit[3], self.opacity),
            "brightness": between(unit[4], self.brightness),
            "softness": between(unit[5], (0.5, 0.8)),
            "veil": unit[6] * between(severity**2, self.veil),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = x.float()
        own = {name: per_sample(value, picture) for name, value in params.items()}
        seen = 1 - own["veil"]
        for cell, opacity, rate in _NEAREST_FIRST:
            flakes = self._flakes(picture, params, cell, rate / cell**2, generators)
            seen = seen * (1 - own["opacity"] * opacity * flakes)
        return torch.lerp(own["brightness"].expand_as(picture), picture, seen).to(x.dtype)

    def _flakes(self, x: Tensor, params: Params, cell: int, rate: float, generators: Generators) -> Tensor:
        """The mask of the flakes at one distance, in [0, 1]: (n, 1, H, W)."""
        n, size = len(x), (x.shape[-2], x.shape[-1])
        angle, density, motion, sigma = (
            params[name].to(x.device) for name in ("angle", "density", "motion", "softness")
        )
        margin = cell * (3 + max(self.motion))
        sample, place, marks = scatter(
            size, density * rate, max(self.density) * rate, margin, 3 + 2 * _CRYSTALS, generators
        )
        fall = angle[sample] + 0.3 * (marks[:, 0] - 0.5)
        path = cell * (motion[sample] * (0.5 + marks[:, 1]))[:, None] * torch.stack([fall.cos(), fall.sin()], 1)
        radius = cell * between(marks[:, 2] ** 2, (0.3, 1.2))
        crystals = radius[:, None, None] * (2 * marks[:, 3:].reshape(-1, _CRYSTALS, 2) - 1)
        light = (2 * math.pi * sigma[sample] ** 2 + 4 * (radius / cell) ** 2) / _CRYSTALS
        mask = expose(
            n,
            size,
            sample.repeat_interleave(_CRYSTALS),
            (place[:, None] + crystals).flatten(0, 1),
            path.repeat_interleave(_CRYSTALS, 0),
            light.repeat_interleave(_CRYSTALS),
            cell,
        )
        return enlarge(gaussian_blur(mask, sigma, radius=2).clamp_(0, 1), cell, size)
