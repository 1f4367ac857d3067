"""Noise as it was measured: its strength by brightness, its colour and its grain."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtr
from torch import Tensor

from defusion.degradations.base import luma, per_sample
from defusion.degradations.noise import GAUSSIAN, Noise
from defusion.oracle.fitted import Fitted, Pair, lookup
from defusion.random import Generators, normal
from defusion.types import Image, Params

KNOTS = 17
"""Levels of brightness at which the strength is measured."""
_WINDOW = 32
"""Side of the windows whose power spectra are averaged, in pixels."""
_GRAIN = 4
"""The noise of a pixel depends on pixels up to so far away."""
_FEWEST = 300
"""Pixels below which a level is not measured but taken from its neighbours."""
_STRONGEST = 0.6
_FLATNESS = 0.1
"""White noise: strengths differ by less over the levels, and correlations are below this."""
_GREY = 0.8
"""Correlation of the channels from which the noise is that of the luminance."""


class MeasuredNoise:
    """Noise whose strength depends on the brightness, with colour and grain: `y = x + s(x) C (k * n)`.

    n is white. Parameters: "deviation" (n, 3, KNOTS), s of each channel by its brightness; "by_luma" (n,), 1 where
    it goes by the luminance instead; "colour" (n, 3, 3), the mixture C of three independent fields; "grain"
    (n, 3, K, K), the kernel k of each, of norm 1.
    """

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Adds the noise; see `Degradation.apply`."""
        picture = x.float()
        level = torch.lerp(picture, luminance(picture), per_sample(params["by_luma"], picture))
        noise = coloured(picture, params, generators)
        return (picture + lookup(params["deviation"], level) * noise).clamp_(0, 1).to(x.dtype)


def luminance(x: Image) -> Image:
    """The luminance (BT.601) of (n, 3, H, W), in each channel."""
    return luma(x).expand_as(x)


def coloured(x: Image, params: Params, generators: Generators) -> Tensor:
    """Noise of variance 1 with the measured grain and colour, the shape of `x`."""
    n, _, height, width = x.shape
    grain = params["grain"].to(x.device)
    margin = grain.shape[-1] - 1
    white = normal(n, (3, height + margin, width + margin), generators, x.device)
    fields = F.conv2d(white.flatten(0, 1)[None], grain.flatten(0, 1)[:, None], groups=3 * n)
    return torch.einsum("ncd,ndhw->nchw", params["colour"].to(x.device), fields.view_as(x))


def fit_noise(pair: Pair) -> Fitted:
    """White Gaussian noise where it is that, else `MeasuredNoise`.

    The clipping of a picture to [0, 1] takes noise away: strengths are those that leave what was measured.
    """
    measured = measure_noise(pair)
    residual = (pair.lq - pair.hq)[0]
    sigma, spread = _overall(pair, measured["deviation"][0])
    rho = max(_correlation(residual[:, 1:], residual[:, :-1]), _correlation(residual[..., 1:], residual[..., :-1]))
    rho = max(rho, _correlation(residual, residual.roll(1, 0)))
    if sigma < 1 / 255 or (spread < _FLATNESS and rho < _FLATNESS):
        white = {"kind": torch.tensor([GAUSSIAN]), "sigma": torch.tensor([255 * sigma])}
        return Fitted("noise", Noise(), white)
    return Fitted("noise", MeasuredNoise(), measured)


def measure_noise(pair: Pair) -> Params:
    """The parameters of `MeasuredNoise`, one row."""
    residual = (pair.lq - pair.hq)[0]
    grey = _correlation(residual[:1], residual[1:]) > _GREY
    level = luminance(pair.hq) if grey else pair.hq
    deviation = torch.stack([_strengths(*side) for side in zip(level[0], pair.hq[0], pair.lq[0], strict=True)])
    scale = lookup(deviation[None], level)[0]
    colour, fields = _principal(residual / scale.clamp(min=1e-4))
    return {
        "deviation": deviation[None],
        "by_luma": torch.tensor([float(grey)]),
        "colour": colour[None],
        "grain": torch.stack([_grain(field) for field in fields])[None],
    }


def _strengths(level: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    """Standard deviation of the noise at each level of brightness, (KNOTS,)."""
    counts, levels, power = _levels(level, clean, noisy)
    seen = counts >= min(_FEWEST, counts.max())
    strengths = np.linspace(0, _STRONGEST, 601)
    values = [np.interp(p, left_by_clipping(x, strengths), strengths) for x, p in zip(levels, power, strict=True)]
    knots = np.arange(KNOTS)
    return torch.from_numpy(np.interp(knots, knots[seen], np.array(values)[seen])).float()


def _levels(level: Tensor, clean: Tensor, noisy: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of pixels, mean value and mean square of the residual, by nearest level: 3 x (KNOTS,)."""
    x = clean.flatten().double().numpy()
    square = (noisy - clean).flatten().double().numpy() ** 2
    nearest = np.rint(level.flatten().double().numpy() * (KNOTS - 1)).astype(np.int64)
    counts, sums, squares = (np.bincount(nearest, weights, KNOTS) for weights in (None, x, square))
    some = np.maximum(counts, 1)
    return counts, sums / some, squares / some


def left_by_clipping(x: float, sigma: np.ndarray) -> np.ndarray:
    """E (clip(x + sigma n) - x)^2 for n of N(0, 1), clipped to [0, 1]: the moments of a censored Gaussian."""
    scale = np.maximum(sigma, 1e-9)
    low, high = -x / scale, (1 - x) / scale
    below, above = ndtr(low), ndtr(-high)
    inside = 1 - below - above - high * _density(high) + low * _density(low)
    return x**2 * below + (1 - x) ** 2 * above + sigma**2 * inside


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


def _overall(pair: Pair, deviation: Tensor) -> tuple[float, float]:
    """The one sigma that explains all pixels, and the relative spread of the levels about it."""
    strengths = np.linspace(0, _STRONGEST, 601)
    expected, observed, counts = np.zeros_like(strengths), 0.0, []
    for clean, noisy in zip(pair.hq[0], pair.lq[0], strict=True):
        count, level, power = _levels(clean, clean, noisy)
        expected += sum(c * left_by_clipping(x, strengths) for c, x in zip(count, level, strict=True))
        observed += float((count * power).sum())
        counts.append(np.where(count >= _FEWEST, count, 0))
    sigma = float(np.interp(observed, expected, strengths))
    weights = torch.from_numpy(np.array(counts)).double()
    off = (deviation.double() / max(sigma, 1e-9) - 1) ** 2
    return sigma, float(((weights * off).sum() / weights.sum().clamp(min=1)).sqrt())


def _correlation(a: Tensor, b: Tensor) -> float:
    return float((a * b).mean().abs() / (a.square().mean() * b.square().mean()).sqrt().clamp(min=1e-12))


def _principal(unit: Tensor) -> tuple[Tensor, Tensor]:
    """The mixture (3, 3) of uncorrelated fields that has the colours of `unit`, and those fields (3, H, W)."""
    flat = unit.flatten(1).double()
    covariance = flat @ flat.mT / flat.shape[1]
    size = covariance.diagonal().sqrt().clamp(min=1e-12)
    values, vectors = torch.linalg.eigh(covariance / (size[:, None] * size))
    colour = vectors * values.clamp(min=0).sqrt()
    fields = (vectors.mT @ (flat / size[:, None])).view_as(unit)
    return colour.float(), fields.float()


def _grain(field: Tensor) -> Tensor:
    """The symmetric kernel (K, K) of norm 1 that gives white noise the power spectrum of `field` (H, W)."""
    windows = field.unfold(0, _WINDOW, _WINDOW).unfold(1, _WINDOW, _WINDOW)
    power = torch.fft.rfft2(windows).abs().square().mean((0, 1))
    kernel = torch.fft.fftshift(torch.fft.irfft2(power.sqrt(), s=(_WINDOW, _WINDOW)))
    middle = slice(_WINDOW // 2 - _GRAIN, _WINDOW // 2 + _GRAIN + 1)
    kernel = kernel[middle, middle]
    norm = kernel.norm()
    if not norm > 0:
        kernel = torch.zeros_like(kernel)
        kernel[_GRAIN, _GRAIN] = norm = torch.ones(())
    return kernel / norm
