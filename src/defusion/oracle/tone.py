"""Low light of one pair: a tone curve for each channel, and the noise on top."""

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor

from defusion.oracle.fitted import Fitted, Pair, lookup
from defusion.oracle.noise import MeasuredNoise, measure_noise
from defusion.random import Generators
from defusion.types import Image, Params

KNOTS = 65
"""Points of a tone curve."""
_FAITH = 200.0
"""Pixels at a level that count as much as the power law through all levels."""


class ToneCurve:
    """A monotone curve of each channel, then `MeasuredNoise`: `y = f_c(x) + N`.

    Parameters: "curve" (n, 3, KNOTS), through evenly spaced knots, and those of the noise, whose strength goes
    by the brightness after the curve.
    """

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Darkens the picture and adds the noise; see `Degradation.apply`."""
        dark = lookup(params["curve"], x.float())
        return MeasuredNoise().apply(dark, params, generators).to(x.dtype)


def fit_low_light(pair: Pair) -> Fitted:
    """The curves from the median of the dark picture at each level of the clean one, made monotone.

    The median does not move when noise is clipped at black. Levels that the picture hardly has follow the power
    law `y = b x^g` of the others.
    """
    curve = torch.stack([_curve(*channels) for channels in zip(pair.hq[0], pair.lq[0], strict=True)])[None]
    noise = measure_noise(Pair(pair.lq, lookup(curve, pair.hq)))
    return Fitted("low_light", ToneCurve(), {"curve": curve, **noise})


def _curve(clean: Tensor, dark: Tensor) -> Tensor:
    """The tone curve of one channel, (KNOTS,) in [0, 1]."""
    x, y = clean.flatten().double().numpy(), dark.flatten().double().numpy()
    level = np.rint(x * (KNOTS - 1)).astype(np.int64)
    order = np.argsort(level, kind="stable")
    counts = np.bincount(level, minlength=KNOTS)
    ends, knots = counts.cumsum()[:-1], np.linspace(0, 1, KNOTS)
    middle_x, middle_y = (_medians(np.split(side[order], ends), knots) for side in (x, y))
    scale, gamma = _power_law(counts, middle_x, middle_y)
    power = scale * knots**gamma
    at_knots = middle_y + power - scale * middle_x**gamma
    values = (counts * at_knots + _FAITH * power) / (counts + _FAITH)
    return torch.from_numpy(isotonic_regression(values, weights=counts + _FAITH).x).float().clamp(0, 1)


def _medians(parts: list[np.ndarray], otherwise: np.ndarray) -> np.ndarray:
    return np.array([np.median(part) if len(part) else value for part, value in zip(parts, otherwise, strict=True)])


def _power_law(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """b and g of `y = b x^g` through the levels, in logarithms."""
    some = (counts > 0) & (x > 0) & (y > 2 / 255)
    if not some.any():
        return 0.0, 1.0
    weight = np.sqrt(counts[some]) * y[some]  # an error of the logarithm is one of y over y
    design = np.stack([np.ones(some.sum()), np.log(x[some])], axis=1)
    solution, *_ = np.linalg.lstsq(design * weight[:, None], np.log(y[some]) * weight, rcond=None)
    return float(np.exp(solution[0])), max(float(solution[1]), 0.0)
