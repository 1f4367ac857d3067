"""The degradation-space process: what is noised, what the network predicts, and back."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from defusion.diffusion.schedule import SCHEDULES, Schedule

Prediction = Literal["eps", "v", "y0"]

MIN_ALPHA = 1e-3
"""Below it an eps prediction says nothing of y_0; the clip of y_0 does the rest."""

DEVIATION = 0.5
"""Typical root mean square of y_0 times `scale`: from 0.1 for JPEG to 1 for haze."""


@dataclass(frozen=True)
class Process:
    """Noising of y_0 and the parametrisation of the network.

    Attributes:
        schedule: "cosine", "linear" or "variance_preserving".
        prediction: what the network predicts: the noise (the paper's Eq. 11), v = alpha eps - sigma y_0
            (Salimans & Ho, 2022), or y_0 itself, the stable choice for few steps from pure noise.
        scale: y_0 is multiplied by it, to have about unit deviation.
        limit: largest y_0 before that: 1 for pictures, more for latents, which have no bounds.
    """

    schedule: Literal["cosine", "linear", "variance_preserving"] = "cosine"
    prediction: Prediction = "y0"
    scale: float = 3.0
    limit: float = 1.0

    @property
    def needs_noise(self) -> bool:
        """Whether the result of a single step depends on y_1: not where the network sees nothing of it."""
        alpha = float(self.path.alpha(torch.ones(())))
        return self.prediction != "y0" or alpha != 0

    @property
    def path(self) -> Schedule:
        """alpha and sigma."""
        return SCHEDULES[self.schedule]()

    def noised(self, y0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """y_t = alpha_t y_0 + sigma_t eps (Eq. 10); pictures (B, 3, H, W), t (B,)."""
        alpha, sigma = self._coefficients(t)
        return alpha * y0 + sigma * eps

    def target(self, y0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the network should predict for y_t."""
        alpha, sigma = self._coefficients(t)
        return {"eps": eps, "v": alpha * eps - sigma * y0, "y0": y0}[self.prediction]

    def network_input(self, yt: Tensor, t: Tensor) -> Tensor:
        """What the network sees of y_t: its Wiener estimate of y_0, alpha d^2 / (alpha^2 d^2 + sigma^2) y_t.

        d = DEVIATION is that of y_0. At t = 1 of a schedule of zero terminal SNR it is zero: there y_t is
        noise that says nothing, and a network that never sees it need not learn to ignore it. A
        network that predicts eps needs y_t as it is. (Preconditioning in the sense of Karras et al., 2022.)
        """
        if self.prediction == "eps":
            return yt
        alpha, sigma = self._coefficients(t)
        return alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2) * yt

    def to_y0(self, output: Tensor, yt: Tensor, t: Tensor) -> Tensor:
        """The estimate of y_0 from the network's output at y_t, clipped to its range, scale times the limit."""
        alpha, sigma = self._coefficients(t)
        if self.prediction == "eps":
            y0 = (yt - sigma * output) / alpha.clamp(min=MIN_ALPHA)
        elif self.prediction == "v":
            y0 = alpha * yt - sigma * output
        else:
            y0 = output
        return y0.clamp(-self.scale * self.limit, self.scale * self.limit)

    def _coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        t = t.view(-1, 1, 1, 1)
        return self.path.alpha(t), self.path.sigma(t)
