"""Low light: an underexposed picture and the noise that it brings out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, per_sample
from defusion.degradations.fields import Range, by_severity
from defusion.random import Generators, normal, uniform
from defusion.types import Image, Params


@dataclass(frozen=True)
class LowLight(Degradation):
    """Low light after Lv et al. (IJCV 2021): `y = b(a x)^g + N`, `var N = shot y + read^2`.

    The published ranges are a in .9-1, b in .5-1, g in 1.5-5; g stops here at 3 as in OneRestore
    (Guo et al., ECCV 2024): beyond, the shadows fall under the 8-bit levels of a stored picture. The
    noise is weaker than OneRestore's (.03-.08, on a curve that darkens less): a mid-grey stays three
    times above it. All ranges run from severity 0, the identity, to severity 1.

    Attributes:
        scale: a.
        brightness: b.
        gamma: g.
        shot: variance of the noise a unit of signal.
        read: standard deviation of the noise in black.
    """

    scale: Range = (1.0, 0.9)
    brightness: Range = (1.0, 0.5)
    gamma: Range = (1.0, 3.0)
    shot: Range = (0.0, 0.002)
    read: Range = (0.0, 0.011)

    name = "low_light"

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        severity = draw_severity(n, generators, severity)
        unit = uniform(n, (5,), generators).unbind(1)
        return {
            "severity": severity,
            "scale": by_severity(severity, unit[0], self.scale),
            "brightness": by_severity(severity, unit[1], self.brightness),
            "gamma": by_severity(severity, unit[2], self.gamma),
            "shot": by_severity(severity, unit[3], self.shot),
            "read": by_severity(severity, unit[4], self.read),
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        picture = x.float()
        own = {name: per_sample(value, picture) for name, value in params.items()}
        power = torch.exp(own["gamma"] * torch.log(own["scale"] * picture))  # pow rounds by the place in the batch
        dark = own["brightness"] * power
        noise = normal(len(x), x.shape[1:], generators, device=x.device)
        deviation = (own["shot"] * dark + own["read"] ** 2).sqrt_()
        return dark.add_(noise.mul_(deviation)).clamp_(0, 1).to(x.dtype)
