"""Haze: light lost on the way, and airlight gained."""

from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import (
    Range,
    between,
    by_severity,
    depth,
    draw_depth,
    draw_waves,
    smooth_field,
)
from defusion.random import Generators, uniform
from defusion.types import Image, Params

_PATCHY_SHARE = 0.4
"""Share of the samples whose haze is not homogeneous."""


@dataclass(frozen=True)
class Haze(Degradation):
    """Koschmieder's law: `y = x t + A(1 - t)`, `t = exp(-beta d)`, d a relative depth in (0, 1).

    beta and A span RESIDE (Li et al., TIP 2019) and OneRestore (Guo et al., ECCV 2024), and go on
    to dense haze; a share of the samples has patchy haze as in NH-HAZE (Ancuti et al., CVPRW 2020).

    Attributes:
        beta: optical thickness at depth 1, at severity 0 and at severity 1.
        airlight: A, nearly grey.
        tint: largest deviation of a channel of A from grey.
        patchiness: relative variation of beta over the picture, where haze is patchy.
    """

    beta: Range = (0.0, 3.0)
    airlight: Range = (0.6, 1.0)
    tint: float = 0.03
    patchiness: Range = (0.15, 0.4)

    name = "haze"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (7,), generators)
        airlight = between(unit[:, :1], self.airlight) + self.tint * (2 * unit[:, 1:4] - 1)
        patchy = unit[:, 4] < _PATCHY_SHARE
        return {
            "severity": severity,
            "beta": by_severity(severity, unit[:, 5], self.beta),
            "airlight": airlight.clamp(0, 1),
            "patchiness": patchy * between(unit[:, 6], self.patchiness),
            "patches": draw_waves(n, generators, cycles=1.5),
            **draw_depth(n, generators),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = x.float()
        transmission = self.transmission(params, picture.shape[-2], picture.shape[-1], picture.device)
        airlight = per_sample(params["airlight"], picture).expand_as(picture)
        return torch.lerp(airlight, picture, transmission).to(x.dtype)

    def transmission(self, params: Params, height: int, width: int, device: torch.device) -> Tensor:
        """t at any size, (n, 1, H, W) in (0, 1]."""
        distance = depth(params, height, width, device)
        patches = smooth_field(params["patches"], height, width, device)
        patches = patches.mul_(per_sample(params["patchiness"], distance)).add_(1).clamp_(min=0)
        return torch.exp(-per_sample(params["beta"], distance) * distance * patches)
