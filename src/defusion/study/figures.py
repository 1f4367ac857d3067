"""The figures of the study: what each part is worth, perception against distortion, gain against time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from defusion.benchmark import Timing
from defusion.files import replacing
from defusion.study.scores import CurvePoint
from defusion.study.statistics import Estimate

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, told apart by colour-blind readers too."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_WORSE, _BETTER, _UNDECIDED = "#D55E00", "#0072B2", "#999999"
_SEEDS = "#7B3294"
_DPI = 150
_GRID = 100
_LINE = 0.045
"""Height of a line of text, in heights of a panel."""


@dataclass(frozen=True)
class Bar:
    """A variant, what it is compared with, and the difference of its PSNR, in dB."""

    variant: str
    reference: str
    difference: Estimate


@dataclass(frozen=True)
class Step:
    """Sampling in so many steps."""

    sampler: str
    steps: int
    psnr: float
    lpips: float


def variants_figure(bars: Sequence[Bar]) -> Figure:
    """Horizontal bars of the differences in PSNR with both of their 95% intervals, the worst first.

    Args:
        bars: at least one.
    """
    order = sorted(bars, key=lambda bar: bar.difference.value, reverse=True)
    figure = _figure(7.4, 1.6 + 0.42 * len(bars))
    panel = figure.subplots()
    _bars(panel, [bar.difference for bar in order])
    panel.set_xlabel("PSNR less that of the reference, dB, mean over tasks")
    labels = [f"{bar.variant}  (to {bar.reference})".replace("_", " ") for bar in order]
    panel.set_yticks(range(len(order)), labels)
    panel.set_title(
        "Each variant against its reference\norange: worse, blue: better, grey: not decided\n"
        "95% intervals: black over photographs, above it purple over seeds",
        fontsize=10,
    )
    return figure


def perception_figure(steps: Sequence[Step]) -> Figure:
    """PSNR against LPIPS, a curve a sampler; each point is a number of steps.

    Args:
        steps: at least one.
    """
    figure = _figure(6.4, 4.6)
    panel = figure.subplots()
    for number, sampler in enumerate(dict.fromkeys(step.sampler for step in steps)):
        curve = sorted((step for step in steps if step.sampler == sampler), key=lambda step: step.steps)
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        x, y = [step.lpips for step in curve], [step.psnr for step in curve]
        panel.plot(x, y, color=colour, marker=marker, label=sampler.upper())
        offset, side = ((-5, 6), "right") if number % 2 == 0 else ((5, -14), "left")
        for step in curve:
            place = (step.lpips, step.psnr)
            panel.annotate(str(step.steps), place, offset, textcoords="offset points", color=colour, ha=side)
    panel.set_xlabel("LPIPS: lower looks closer")
    panel.set_ylabel("PSNR, dB: higher is closer")
    panel.set_title(
        "Perception against distortion by sampling steps; best is top left\none step is the same for all samplers",
        fontsize=10,
    )
    panel.margins(0.12)
    _tidy(panel)
    panel.legend(frameon=False, loc="upper right")
    return figure


def curves_figure(curves: Mapping[str, Sequence[Sequence[CurvePoint]]]) -> Figure:
    """Validation gain against seconds of training: a line a network, the mean of its seeds, and thin ones of each.

    Args:
        curves: network -> seed's curve, in the order of time, at least one point each.
    """
    figure = _figure(6.8, 4.4)
    panel = figure.subplots()
    ends = {}
    for number, (name, seeds) in enumerate(curves.items()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        seconds, gains = _resampled(seeds)
        middle = gains.mean(0)
        panel.plot(seconds, middle, color=colour, marker=marker, markevery=[len(seconds) - 1], label=name)
        for own in gains:
            panel.plot(seconds, own, color=colour, alpha=0.35, linewidth=0.6)
        ends[name] = (seconds[-1], middle[-1], colour)
    panel.axhline(0, color="#666666", linewidth=0.8)
    panel.set_xlabel("seconds of training")
    panel.set_ylabel("gain in PSNR on validation, dB")
    panel.set_title("Learning: mean of the seeds, thin lines each of them", fontsize=10)
    panel.margins(x=0.24)
    panel.set_xlim(left=0)
    _tidy(panel)
    _label_ends(panel, ends)
    return figure


def timings_figure(rows: Sequence[Timing], title: str) -> Figure:
    """Horizontal bars of the milliseconds that each takes, the first one on top; networks blue, other parts grey."""
    figure = _figure(7.4, 1.0 + 0.36 * len(rows))
    panel = figure.subplots()
    times = [1e3 * row.seconds for row in rows]
    panel.barh(range(len(rows)), times, color=[_BETTER if row.parameters else _UNDECIDED for row in rows], height=0.62)
    for place, time in enumerate(times):
        panel.annotate(
            f"{time:.0f}" if time >= 10 else f"{time:.2g}",
            (time, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    panel.set_yticks(range(len(rows)), [row.name for row in rows])
    panel.invert_yaxis()
    panel.set_xlabel("milliseconds")
    figure.suptitle(title, fontsize=9, x=0.01, horizontalalignment="left")
    panel.margins(x=0.1)
    _tidy(panel, "x")
    return figure


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG of 150 dpi, whole or not at all."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI)


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, which belongs to no window and no global state."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _bars(panel: Axes, differences: Sequence[Estimate]) -> None:
    for place, own in enumerate(differences):
        colour = _UNDECIDED if not own.decided else _BETTER if own.value > 0 else _WORSE
        panel.barh(place, own.value, color=colour, height=0.62)
        ends = [own.value, 0.0]
        for interval, line, offset in ((own.photographs, "black", -0.12), (own.seeds, _SEEDS, 0.12)):
            if interval is not None:
                ends += [interval.low, interval.high]
                height = [place + offset] * 2
                panel.plot([interval.low, interval.high], height, color=line, linewidth=1.3, marker="|", markersize=5)
        left = own.value <= 0
        panel.annotate(
            f"{own.value:+.2f}",
            (min(ends) if left else max(ends), place),
            (-5 if left else 5, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=9,
        )
    panel.axvline(0, color="black", linewidth=0.8)
    panel.margins(x=0.16)
    _tidy(panel, "x")


def _label_ends(panel: Axes, ends: Mapping[str, tuple[float, float, str]]) -> None:
    """Writes the names beside the ends of lines, (x, y, colour) each, none over another."""
    low, high = panel.get_ylim()
    gap, above = _LINE * (high - low), -math.inf
    for name, (x, y, colour) in sorted(ends.items(), key=lambda item: item[1][1]):
        above = max(y, above + gap)
        panel.annotate(name, (x, above), (9, 0), textcoords="offset points", color=colour, fontsize=9, va="center")


def _tidy(panel: Axes, axis: str = "both") -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis=axis, color="#DDDDDD", linewidth=0.7)  # type: ignore[arg-type]
    panel.set_axisbelow(True)


def _resampled(seeds: Sequence[Sequence[CurvePoint]]) -> tuple[np.ndarray, np.ndarray]:
    """Common seconds (N,), where every seed has a curve, and the gains at them, (seeds, N), linear between points."""
    start, stop = max(own[0].seconds for own in seeds), min(own[-1].seconds for own in seeds)
    seconds = np.linspace(start, max(start, stop), _GRID)
    rows = [np.interp(seconds, [point.seconds for point in own], [point.psnr_gain for point in own]) for own in seeds]
    return seconds, np.stack(rows)
