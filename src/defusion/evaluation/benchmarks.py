"""The field's test sets by name, and their groups."""

from collections.abc import Mapping

from defusion.evaluation.test_sets.blur import BLUR_SETS
from defusion.evaluation.test_sets.entry import Benchmark, Synthesis
from defusion.evaluation.test_sets.scenes import SCENES_SETS
from defusion.evaluation.test_sets.sensor import SENSOR_SETS
from defusion.evaluation.test_sets.weather import WEATHER_SETS

__all__ = ["BENCHMARKS", "GROUPS", "Benchmark", "Synthesis"]

BENCHMARKS: Mapping[str, Benchmark] = {
    benchmark.name: benchmark for benchmark in (*BLUR_SETS, *WEATHER_SETS, *SENSOR_SETS, *SCENES_SETS)
}
"""Name -> test set."""

WED_MIXED = tuple(benchmark.name for benchmark in SCENES_SETS if benchmark.name.startswith("wed_mixed"))

GROUPS: Mapping[str, tuple[str, ...]] = {
    "table1": ("gopro", "dpdd", "snow100k_l", "dense_haze", "raindrop", "rain1400", "sidd", "live1"),
    "table2": ("nh_haze", "lhp", "realsnow", "realblur_j"),
    "table3": WED_MIXED,
    "wed_mixed": WED_MIXED,
    "table4": ("euvp", "turbid"),
    "aio3": ("sots_outdoor", "rain100l", "cbsd68_s15", "cbsd68_s25", "cbsd68_s50"),
    "aio5": ("sots_outdoor", "rain100l", "cbsd68_s25", "gopro", "lol_v1"),
    "all": tuple(BENCHMARKS),
}
"""Name -> the test sets that `TASK=` of this name runs: the paper's tables, the three- and five-task protocols."""
