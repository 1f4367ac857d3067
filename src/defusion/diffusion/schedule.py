"""Noise schedules (alpha_t, sigma_t) of the forward process p(y_t | y_0) = N(alpha_t y_0, sigma_t^2 I), Eq. 10."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Schedule(ABC):
    """alpha and sigma as functions of t in [0, 1]: alpha(0) = 1, sigma(0) = 0, monotone."""

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Signal scale, the shape of t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Noise deviation, the shape of t."""


class Cosine(Schedule):
    """Variance preserving, zero terminal SNR: alpha = cos(pi t / 2), sigma = sin(pi t / 2) (Nichol & Dhariwal)."""

    def alpha(self, t: Tensor) -> Tensor:
        """Exactly 0 at t = 1."""
        return torch.sin(0.5 * math.pi * (1 - t))

    def sigma(self, t: Tensor) -> Tensor:
        """Exactly 0 at t = 0."""
        return torch.sin(0.5 * math.pi * t)


class Linear(Schedule):
    """The straight path of flow matching, zero terminal SNR: alpha = 1 - t, sigma = t (Lipman et al., 2023)."""

    def alpha(self, t: Tensor) -> Tensor:
        """Exactly 0 at t = 1."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """Exactly 0 at t = 0."""
        return t


class VariancePreserving(Schedule):
    """DDPM's linear beta in continuous time, beta from .1 to 20 (Song et al., 2021, appendix C).

    What pretrained U-Nets mostly use; its terminal SNR is small but not zero.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-t^2 (20 - .1) / 4 - .1 t / 2)."""
        return torch.exp(-0.25 * t**2 * (20 - 0.1) - 0.5 * t * 0.1)

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - alpha^2)."""
        return (1 - self.alpha(t) ** 2).clamp(min=0).sqrt()


SCHEDULES: dict[str, type[Schedule]] = {
    "cosine": Cosine,
    "linear": Linear,
    "variance_preserving": VariancePreserving,
}
