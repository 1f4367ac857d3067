"""The figures: they show the numbers, and no global state of matplotlib is touched."""

import itertools

import pytest
from matplotlib import pyplot, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from defusion.benchmark import Timing
from defusion.study.figures import Bar, Step, curves_figure, perception_figure, timings_figure, variants_figure
from defusion.study.scores import CurvePoint
from defusion.study.statistics import Estimate, Interval

BARS = [
    Bar("label", "full", Estimate(0.4, Interval(0.2, 0.6), Interval(0.1, 0.7), 0.1, 3)),
    Bar("text", "full", Estimate(0.1, Interval(0.05, 0.15), Interval(-0.1, 0.3), 0.1, 3)),
    Bar("blank", "full", Estimate(-1.5, Interval(-1.7, -1.3), Interval(-1.6, -1.4), 0.1, 3)),
]


def line(*gains: float, start: float = 10.0) -> list[CurvePoint]:
    return [CurvePoint(start + 10 * place, gain) for place, gain in enumerate(gains)]


def intervals(panel: Axes) -> list[tuple[float, ...]]:
    return [tuple(own.get_xdata()) for own in panel.lines if len(set(own.get_xdata())) > 1]  # type: ignore[arg-type]


def test_bars_are_the_differences_with_both_intervals_worst_at_the_bottom() -> None:
    (panel,) = variants_figure(BARS).axes
    assert [bar.get_width() for bar in panel.patches] == [0.4, 0.1, -1.5]  # type: ignore[attr-defined]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels == ["label  (to full)", "text  (to full)", "blank  (to full)"]
    assert intervals(panel) == [(0.2, 0.6), (0.1, 0.7), (0.05, 0.15), (-0.1, 0.3), (-1.7, -1.3), (-1.6, -1.4)]
    colours = [to_hex(bar.get_facecolor()) for bar in panel.patches]
    assert len(set(colours)) == 3, "better, worse and undecided look different"


def test_an_unknown_interval_is_not_drawn() -> None:
    figure = variants_figure([Bar("label", "full", Estimate(1.0, None, None, None, 1))])
    figure.canvas.draw()
    assert intervals(figure.axes[0]) == []


def test_times_are_bars_in_the_order_of_the_table() -> None:
    rows = [Timing("synthesis", 0, 0.02), Timing("network", 100, 0.2), Timing("waiting", 0, 0.001)]
    (panel,) = timings_figure(rows, "One step").axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([20, 200, 1])  # type: ignore[attr-defined]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["synthesis", "network", "waiting"]
    assert [text.get_text() for text in panel.texts] == ["20", "200", "1"]
    low, high = panel.get_ylim()
    assert low > high, "the first one is on top"
    colours = [to_hex(bar.get_facecolor()) for bar in panel.patches]
    assert colours[0] == colours[2] != colours[1], "networks look different"


def test_each_sampler_is_a_curve_in_the_order_of_its_steps() -> None:
    steps = [Step("ddim", 4, 29.0, 0.08), Step("ddim", 1, 30.0, 0.1), Step("sde", 50, 28.0, 0.05)]
    (panel,) = perception_figure(steps).axes
    drawn = {own.get_label(): (list(own.get_xdata()), list(own.get_ydata())) for own in panel.lines}  # type: ignore[arg-type]
    assert drawn == {"DDIM": ([0.1, 0.08], [30.0, 29.0]), "SDE": ([0.05], [28.0])}
    assert sorted(text.get_text() for text in panel.texts) == ["1", "4", "50"]
    assert len({own.get_color() for own in panel.lines}) == len({own.get_marker() for own in panel.lines}) == 2


def test_a_curve_is_the_mean_of_its_seeds_where_all_have_one() -> None:
    curves = {"full": [line(1, 2, 3), line(3, 4, 5, start=20)], "plain": [line(0, 1, 1)]}
    (panel,) = curves_figure(curves).axes
    full, *each, plain, _, _ = panel.lines
    x, y = full.get_xdata(), full.get_ydata()
    assert (x[0], x[-1]) == (20, 30)  # type: ignore[index]
    assert (y[0], y[-1]) == pytest.approx((2.5, 3.5))  # type: ignore[index]
    assert [own.get_ydata()[0] for own in each] == pytest.approx([2, 3])  # type: ignore[index]
    assert plain.get_ydata()[-1] == pytest.approx(1)  # type: ignore[index]
    assert sorted(text.get_text() for text in panel.texts) == ["full", "plain"]


def test_names_at_the_ends_of_lines_are_not_over_each_other() -> None:
    curves = {name: [line(0, 2 + 1e-3 * place)] for place, name in enumerate(("full", "plain", "nafnet"))}
    (panel,) = curves_figure(curves).axes
    low, high = panel.get_ylim()
    heights = sorted(text.xy[1] for text in panel.texts)  # type: ignore[attr-defined]
    assert all(above - below > 0.04 * (high - low) for below, above in itertools.pairwise(heights))


def test_the_global_state_of_matplotlib_is_not_touched() -> None:
    before = dict(rcParams)
    variants_figure(BARS)
    curves_figure({"full": [line(1, 2)]})
    assert pyplot.get_fignums() == []
    assert dict(rcParams) == before
