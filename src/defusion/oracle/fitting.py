"""The oracle's instruction: exactly the degradation of one pair, shown on a chart."""

from collections.abc import Callable

import torch
from torch import Tensor

from defusion.degradations.library import parse
from defusion.grounds.chart import Chart
from defusion.instruction import VisualInstruction
from defusion.oracle.blur import fit_defocus_blur, fit_motion_blur
from defusion.oracle.fitted import Fitted, Pair
from defusion.oracle.matching import fit_by_matching
from defusion.oracle.noise import fit_noise
from defusion.oracle.search import fit_downsample, fit_jpeg
from defusion.oracle.tone import fit_low_light
from defusion.oracle.veil import fit_haze, fit_underwater
from defusion.random import generator
from defusion.types import Image

_CHART = 0x04AC1E
"""Part of the key of a chart's randomness, so that no picture of the same seed shares it."""

_BY_MODEL: dict[str, Callable[[Pair], Fitted]] = {
    "low_light": fit_low_light,
    "haze": fit_haze,
    "underwater": fit_underwater,
    "defocus_blur": fit_defocus_blur,
    "motion_blur": fit_motion_blur,
    "downsample": fit_downsample,
    "noise": fit_noise,
    "jpeg": fit_jpeg,
}
"""Degradations whose parameters follow from the pixels of a pair by their formation model."""


def fit(task: str, lq: Tensor, hq: Tensor, seed: int = 0) -> Fitted:
    """The degradation of one pair, its parameters fitted.

    Blur, haze, water, low light, noise, JPEG and loss of resolution alone by their own formation models; rain,
    snow, raindrops and composites by matching statistics (`fit_by_matching`).

    Args:
        task: a degradation of the library or some joined by "+", in the order they act.
        lq: the degraded picture, (3, H, W) in [0, 1], sides of at least 64 pixels.
        hq: its clean reference, the same shape.
        seed: of the draws that are matched.

    Raises:
        ValueError: for an unknown task, or pictures that are no pair.
    """
    name = parse(task).name
    pair = Pair.of(lq, hq)
    if name in _BY_MODEL:
        return _BY_MODEL[name](pair)
    return fit_by_matching(name, pair, seed)


def show(fitted: Fitted, ground: Image, draw: torch.Generator) -> VisualInstruction:
    """The ground (1, 3, Hv, Wv) beside itself under exactly the fitted degradation."""
    return VisualInstruction(ground, fitted.apply(ground, draw), fitted.task)


def instruction(task: str, lq: Tensor, hq: Tensor, chart: Chart, seed: int = 0) -> VisualInstruction:
    """The instruction that shows what turned `hq` into `lq`: the upper bound of what an instruction can say.

    Args:
        task: see `fit`.
        lq: see `fit`.
        hq: see `fit`.
        chart: its canonical ground is degraded.
        seed: of the draws and of the spatial fields.

    Raises:
        ValueError: see `fit`.
    """
    return show(fit(task, lq, hq, seed), chart.canonical(), generator(seed, _CHART))
