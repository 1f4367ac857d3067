"""Tables in GitHub's Markdown, and what stands in their cells."""

from collections.abc import Callable, Sequence

from defusion.study.statistics import GAIN, Estimate, Interval

HEADS = {GAIN: "gain, dB", "psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}
"""Metric -> what a column of it is called."""

EQUAL = 0.05
"""By how much times may differ that are called equal."""

_DIGITS = {GAIN: 2, "psnr": 2, "ssim": 3, "lpips": 3}
_CHANGE_DIGITS = {GAIN: 2, "psnr": 2, "ssim": 4, "lpips": 4}
_UNKNOWN = "?"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """The first columns to the left and the others to the right; "" without rows."""
    if not rows:
        return ""
    rule = ["---" if place < left else "---:" for place in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))


def plain(number: float, metric: str) -> str:
    """With the metric's digits; gains have a sign."""
    return f"{number:+.{_DIGITS[metric]}f}" if metric == GAIN else f"{number:.{_DIGITS[metric]}f}"


def interval(own: Estimate, metric: str) -> str:
    """ "30.12 [29.80, 30.41] ± 0.05": value, interval over photographs, standard deviation of the seeds."""
    spread = _UNKNOWN if own.spread is None else f"{own.spread:.{_DIGITS[metric]}f}"
    return f"{plain(own.value, metric)} {_ends(own.photographs, lambda end: plain(end, metric))} ± {spread}"


def change(own: Estimate, metric: str) -> str:
    """Of a difference: with signs, a digit more of SSIM and LPIPS, and both intervals."""

    def signed(number: float) -> str:
        return f"{number:+.{_CHANGE_DIGITS[metric]}f}"

    ends = f"photographs {_ends(own.photographs, signed)}<br>seeds {_ends(own.seeds, signed)}"
    return f"{signed(own.value)}<br>{ends}"


def verdict(own: Estimate, metric: str) -> str:
    """What a difference, variant less reference, says of the claim that the variant restores worse.

    It says something where the interval over photographs and that over seeds both exclude zero.
    """
    if not own.decided:
        return "not decided"
    worse = own.value > 0 if metric == "lpips" else own.value < 0
    return "supported" if worse else "contradicted"


def judged(own: Estimate, metric: str) -> str:
    """A difference and its verdict."""
    return f"{change(own, metric)}<br>{verdict(own, metric)}"


def ratio(seconds: float, reference: float | None) -> str:
    """Of a time to that of the reference, marked where they are not equal."""
    if not reference:
        return _UNKNOWN
    own = seconds / reference
    return f"{own:.2f}" + ("" if abs(own - 1) <= EQUAL else " (not equal)")


def _ends(own: Interval | None, show: Callable[[float], str]) -> str:
    return f"[{_UNKNOWN}]" if own is None else f"[{show(own.low)}, {show(own.high)}]"
