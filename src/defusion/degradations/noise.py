"""Noise of three origins: additive white Gaussian, a camera's sensor, and photon counting."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import Degradation, draw_severity, luma, per_sample
from defusion.random import Generators, normal, take, uniform
from defusion.types import Image, Params

GAUSSIAN, CAMERA, POISSON = range(3)
"""The values of the parameter "kind"."""

XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)
"""Colour matrices of four cameras (Brooks et al., CVPR 2019)."""
RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)

PHOTON_LEVELS = 256
"""v of the Poisson model: 2^ceil(log2 of the number of grey levels), of an 8-bit photograph."""


@dataclass(frozen=True)
class Noise(Degradation):
    """Noise of one kind a sample; its standard deviation grows linearly with the severity.

    - Gaussian: y = x + sigma/255 N(0, 1), sigma = severity * `max_sigma`.
    - Camera: the noise of linear raw light, variance a x + b, in a Bayer mosaic, developed with the
      picture: demosaicing, white balance, colour matrix, gamma and tone curve (Brooks et al.,
      "Unprocessing images for learned raw denoising"). a = severity^2 `max_shot`, so that severities
      in [0.1, 1] span the published a in [1e-4, 0.012]; log b = 2.18 log a + 1.2 + N(0, 0.26).
    - Poisson: y = x + k (Poisson(x v) / v - x), v = 256, k = severity * `max_poisson`; the same for all
      channels in a share `grey` of the samples (Real-ESRGAN).

    Attributes:
        kinds: probabilities of Gaussian, camera and Poisson noise.
        max_sigma: Gaussian standard deviation at severity 1, in 8-bit units.
        max_shot: shot noise a at severity 1, raw light in [0, 1].
        max_poisson: Poisson scale k at severity 1.
        grey: share of the Poisson samples whose noise has no colour.

    Raises:
        ValueError: if `kinds` are not probabilities that add up to 1.
    """

    kinds: tuple[float, float, float] = (0.6, 0.25, 0.15)
    max_sigma: float = 55.0
    max_shot: float = 0.012
    max_poisson: float = 3.0
    grey: float = 0.4

    name = "noise"

    def __post_init__(self) -> None:
        if min(self.kinds) < 0 or abs(sum(self.kinds) - 1) > 1e-6:
            raise ValueError(
                "kinds: expected the probabilities of gaussian, camera and poisson, which add up to 1, "
                f"got {self.kinds}"
            )

    @classmethod
    def gaussian(cls) -> "Noise":
        """Gaussian noise alone: the white noise of the denoising benchmarks."""
        return cls(kinds=(1.0, 0.0, 0.0))

    def severity(self, sigma: float) -> float:
        """The severity at which Gaussian noise has the standard deviation `sigma`, in 8-bit units.

        Raises:
            ValueError: if `sigma` is not in [0, max_sigma].
        """
        if not 0 <= sigma <= self.max_sigma:
            raise ValueError(f"sigma: expected 8-bit units in [0, {self.max_sigma}], got {sigma}")
        return sigma / self.max_sigma

    def draw(self, n: int, generators: Generators, severity: Tensor | None = None) -> Params:
        """Draws the parameters; those of the kinds a sample does not have are 0.

        Returns:
            "severity", "kind" (0 Gaussian, 1 camera, 2 Poisson), "sigma" (8-bit units), "shot" and "read"
            (a and b), "poisson" (k) and "grey" (0 or 1): (n,); "camera": (n, 3, 3), raw light of the
            sensor from linear RGB (colour matrix and inverse white balance).
        """
        severity = draw_severity(n, generators, severity)
        chance, grey, red, blue, *weights = uniform(n, (8,), generators).unbind(1)
        spread, exposure = normal(n, (2,), generators).unbind(1)
        kind = torch.bucketize(chance.contiguous(), torch.tensor(self.kinds).cumsum(0)[:2], right=True)
        is_gaussian, is_camera, is_poisson = (kind == which for which in (GAUSSIAN, CAMERA, POISSON))
        shot = severity**2 * self.max_shot * is_camera
        log_read = 2.18 * shot.double().log() + 1.2 + 0.26 * spread
        brightening = 1 / (0.8 + 0.1 * exposure)
        gains = torch.stack([1.9 + 0.5 * red, torch.ones(n), 1.5 + 0.4 * blue], dim=1) * brightening[:, None]
        return {
            "severity": severity,
            "kind": kind,
            "sigma": severity * self.max_sigma * is_gaussian,
            "shot": shot,
            "read": log_read.exp().float(),
            "camera": _camera_from_rgb(torch.stack(weights, dim=1)) / gains[..., None],
            "poisson": severity * self.max_poisson * is_poisson,
            "grey": (grey < self.grey).float() * is_poisson,
        }

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Adds the noise of each sample's kind; see `Degradation.apply`."""
        y = x.to(torch.float32, copy=True)
        for kind, add_noise in ((GAUSSIAN, _gaussian), (CAMERA, _camera), (POISSON, _poisson)):
            rows = (params["kind"] == kind).nonzero().flatten()
            if len(rows) > 0:
                own = {name: value[rows] for name, value in params.items()}
                here = rows.to(x.device)
                y[here] = add_noise(y[here], own, take(generators, rows))
        return y.clamp_(0, 1).to(x.dtype)


def _gaussian(x: Image, params: Params, generators: Generators) -> Image:
    noise = normal(len(x), x.shape[1:], generators, x.device)
    return x + per_sample(params["sigma"], x) / 255 * noise


def _poisson(x: Image, params: Params, generators: Generators) -> Image:
    grey = per_sample(params["grey"], x) > 0
    signal = torch.where(grey, luma(x), x)
    noise = _photons(signal * PHOTON_LEVELS, generators) / PHOTON_LEVELS - signal
    return x + per_sample(params["poisson"], x) * torch.where(grey, noise[:, :1], noise)


def _photons(rate: Tensor, generators: Generators) -> Tensor:
    if isinstance(generators, torch.Generator):
        return torch.poisson(rate, generator=generators)
    return torch.stack([torch.poisson(row, generator=own) for row, own in zip(rate, generators, strict=True)])


def _camera(x: Image, params: Params, generators: Generators) -> Image:
    """Develops the picture with the sensor's noise.

    Demosaicing, white balance and colour matrix are linear, so the noise goes that way alone and meets the
    picture in linear RGB, before the gamma and the tone curve: without noise the picture is unchanged.
    """
    linear = _undevelop(x)
    raw = _mix_colours(params["camera"], linear).clamp_(min=0)
    deviation = (per_sample(params["shot"], x) * raw + per_sample(params["read"], x)).sqrt_()
    sensor = normal(len(x), (1, *x.shape[2:]), generators, x.device)
    noise = _demosaic(deviation.mul_(sensor))
    return _develop(linear + _mix_colours(torch.linalg.inv(params["camera"]), noise))


def _camera_from_rgb(weights: Tensor) -> Tensor:
    """Colour matrices (n, 3, 3) of random cameras: a mixture, by `weights` (n, 4), of the published ones."""
    mixture = weights / weights.sum(1, keepdim=True)
    matrix = torch.einsum("nk,kij->nij", mixture, torch.tensor(XYZ_TO_CAMERA)) @ torch.tensor(RGB_TO_XYZ)
    return matrix / matrix.sum(2, keepdim=True)


def _mix_colours(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("nij,njhw->nihw", matrix.to(x.device), x)


def _undevelop(x: Image) -> Tensor:
    """Linear RGB: the inverse of the tone curve 3 x^2 - 2 x^3 and of the gamma 1/2.2."""
    return (0.5 - torch.sin(torch.asin(1 - 2 * x) / 3)).clamp_(0, 1) ** 2.2


def _develop(linear: Tensor) -> Image:
    encoded = linear.clamp(0, 1) ** (1 / 2.2)
    return encoded**2 * (3 - 2 * encoded)


def _demosaic(raw: Tensor) -> Tensor:
    """Keeps of (n, 3, H, W) what an RGGB Bayer mosaic sees and interpolates the rest bilinearly."""
    height, width = raw.shape[-2:]
    row = torch.arange(height, device=raw.device)[:, None] % 2
    column = torch.arange(width, device=raw.device) % 2
    mosaic = torch.stack([(row == 0) & (column == 0), row != column, (row == 1) & (column == 1)])
    corner, cross = [[1, 2, 1], [2, 4, 2], [1, 2, 1]], [[0, 1, 0], [1, 4, 1], [0, 1, 0]]
    kernels = raw.new_tensor([corner, cross, corner])[:, None] / 4
    return F.conv2d(F.pad(raw * mosaic, (1, 1, 1, 1), mode="reflect"), kernels, groups=3)
