"""The gains of all pictures of a test set, sorted, as bars in inline SVG."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TypeAlias

from defusion.evaluation.outcome import Outcome

Height: TypeAlias = Callable[[float], float]
"""A gain in dB to its distance from the top, in percent."""

MAX_BARS = 200
"""Of more pictures, as many of evenly spaced ranks are drawn, and the pictures that are shown."""


def gain_chart(outcome: Outcome, shown: Sequence[int]) -> str:
    """Bars from the lowest gain to the highest, and their mean as a line; the shown pictures stand out.

    The SVG is stretched to its frame and holds no text; labels are HTML beside it, so that they keep their size
    on a phone.

    Args:
        outcome: the test set.
        shown: positions in `outcome.per_image` of the pictures that the page shows.
    """
    order = sorted(range(outcome.num_images), key=lambda number: (outcome.per_image[number].gain, number))
    ranks = _ranks(order, frozenset(shown))
    gains = [outcome.per_image[number].gain for number in order]
    ticks = _ticks(min(0.0, gains[0]), max(0.0, gains[-1]))
    low, high = ticks[0], ticks[-1]

    def height(gain: float) -> float:
        return 100 * (high - gain) / (high - low)

    lines = "".join(_line(height(tick), "zero" if tick == 0 else "grid") for tick in ticks)
    bars = "".join(
        _bar(outcome, order[rank], place / len(ranks), 1 / len(ranks), height, order[rank] in shown)
        for place, rank in enumerate(ranks)
    )
    labels = "".join(
        f'<span class="tick" style="top:{height(tick):.2f}%">{tick:{"+g" if tick else "g"}}</span>' for tick in ticks
    )
    label = f"PSNR gain of {outcome.num_images} pictures, from {gains[0]:+.2f} to {gains[-1]:+.2f} dB"
    mean = f'<span class="mean" style="top:{height(outcome.gain):.2f}%">mean {outcome.gain:+.2f}</span>'
    sampled = f" Of {len(order)} pictures, {len(ranks)} are drawn." if len(ranks) < len(order) else ""
    return (
        f'<figure class="chart"><div class="plot">{labels}{mean}'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f"{lines}{bars}{_line(height(outcome.gain), 'average')}</svg></div>"
        f"<figcaption>Gain in PSNR of each picture in dB, sorted. "
        f"Solid bars: the pictures shown below.{sampled}</figcaption></figure>"
    )


def _ranks(order: Sequence[int], shown: frozenset[int]) -> list[int]:
    """The ranks to draw: all of them, or evenly spaced ones and those shown."""
    count = len(order)
    if count <= MAX_BARS:
        return list(range(count))
    spaced = {round(place * (count - 1) / (MAX_BARS - 1)) for place in range(MAX_BARS)}
    return sorted(spaced | {rank for rank, number in enumerate(order) if number in shown})


def _ticks(low: float, high: float) -> list[float]:
    """Round values at even distances, three to seven, from at most `low` to at least `high`; zero is one of them."""
    span = max(high - low, 0.1)
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * unit for unit in (0.25, 0.5, 1, 2.5) if span / (power * unit) <= 5)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [number * step for number in range(first, last + 1)]


def _bar(outcome: Outcome, number: int, left: float, width: float, height: Height, shown: bool) -> str:
    image = outcome.per_image[number]
    top, bottom = sorted((height(image.gain), height(0.0)))
    kind = ("up" if image.gain >= 0 else "down") + (" shown" if shown else "")
    gap = 0.2 * width if outcome.num_images <= MAX_BARS / 2 else 0.0
    return (
        f'<rect class="{kind}" x="{100 * (left + gap / 2):.3f}" y="{top:.3f}" width="{100 * (width - gap):.3f}" '
        f'height="{max(bottom - top, 0.4):.3f}"><title>{escape(image.name)}: {image.gain:+.2f} dB</title></rect>'
    )


def _line(height: float, kind: str) -> str:
    return f'<line class="{kind}" x1="0" x2="100" y1="{height:.3f}" y2="{height:.3f}"/>'
