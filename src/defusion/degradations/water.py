"""Underwater: each colour is lost at its own rate, red first, and veiled by scattered light."""

from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import Range, between, by_severity, depth, draw_depth, gaussian_blur
from defusion.random import Generators, normal, uniform
from defusion.types import Image, Params

JERLOV = (
    (0.235, 0.043, 0.018),  # I: the clearest ocean, blue
    (0.260, 0.076, 0.062),  # II
    (0.295, 0.116, 0.116),  # III
    (0.300, 0.130, 0.170),  # 1: clear coast
    (0.330, 0.200, 0.290),  # 3: coast, green
)
"""Diffuse attenuation a metre at 600, 525 and 475 nm (Jerlov, Marine Optics, 1976, table XXVII)."""

_NEAREST = 0.3
"""The nearest object lies this far along the range of distances."""


@dataclass(frozen=True)
class Underwater(Degradation):
    """A picture under water: `y = x t_c + B_c(1 - t_c)`, `t_c = exp(-beta_c d)`, then slight blur and noise.

    beta is that of a Jerlov water type and d a distance of some metres. The veil has the colour of the
    daylight left at D metres under the surface, exp(-beta_c D), as the camera exposes it: bluish in
    the ocean, greenish at the coast.
    Ranges of strengths run from severity 0 to severity 1.

    Attributes:
        distance: of the farthest object, metres.
        surface: D, metres.
        veil: B in its brightest channel.
        blur: standard deviation of the forward scatter, pixels.
        noise: standard deviation.
    """

    distance: Range = (0.0, 10.0)
    surface: Range = (4.0, 9.0)
    veil: Range = (0.4, 0.75)
    blur: Range = (0.0, 1.0)
    noise: Range = (0.0, 0.015)

    name = "underwater"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (6,), generators).unbind(1)
        beta = _water_type(unit[0])
        daylight = torch.exp(-beta * between(unit[1], self.surface)[:, None])
        daylight = daylight / daylight.amax(1, keepdim=True)
        return {
            "severity": severity,
            "beta": beta,
            "veil": between(unit[2], self.veil)[:, None] * daylight,
            "distance": by_severity(severity, unit[3], self.distance),
            "blur": by_severity(severity, unit[4], self.blur),
            "noise": by_severity(severity, unit[5], self.noise),
            **draw_depth(n, generators),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = gaussian_blur(x.float(), params["blur"], radius=3)
        transmission = self.transmission(params, picture.shape[-2], picture.shape[-1], picture.device)
        veil = per_sample(params["veil"], picture).expand_as(picture)
        noise = normal(len(x), x.shape[1:], generators, device=x.device)
        noise *= per_sample(params["noise"], picture)
        return torch.lerp(veil, picture, transmission).add_(noise).clamp_(0, 1).to(x.dtype)

    def transmission(self, params: Params, height: int, width: int, device: torch.device) -> Tensor:
        """t of each channel at any size, (n, 3, H, W) in (0, 1]."""
        scene = depth(params, height, width, device).mul_(1 - _NEAREST).add_(_NEAREST)
        thickness = params["beta"] * params["distance"][:, None]
        return torch.exp(-per_sample(thickness, scene) * scene)


def _water_type(unit: Tensor) -> Tensor:
    """beta of a water between two neighbours of the table, (n, 3)."""
    table = torch.tensor(JERLOV)
    place = unit * (len(table) - 1)
    lower = place.long().clamp(max=len(table) - 2)
    return torch.lerp(table[lower], table[lower + 1], (place - lower)[:, None])
