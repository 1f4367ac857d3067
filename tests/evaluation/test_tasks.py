"""Names of tasks, stand-ins, and what a missing test set says."""

from io import StringIO

import pytest
from rich.console import Console

from defusion.degradations.library import NAMES, parse
from defusion.evaluation.benchmarks import BENCHMARKS, GROUPS, Benchmark
from defusion.evaluation.tasks import explain, find_tasks, is_synthetic, listing, stand_in


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BENCHMARKS])
def test_every_degradation_is_a_task_of_clean_pictures(name: str) -> None:
    (task,) = find_tasks(name)
    assert is_synthetic(task)
    assert task.task == name
    assert name in task.title


def test_composites_keep_their_order() -> None:
    assert [find_tasks(name)[0].task for name in ("rain+noise", "noise+rain")] == ["rain+noise", "noise+rain"]
    assert "rain (0.5), then noise (Gaussian, sigma 25)" in find_tasks("rain+noise")[0].title


@pytest.mark.parametrize("name", ["NH-HAZE", "nh_haze", " nh-haze ", "NH haze"])
def test_test_sets_go_by_any_common_spelling(name: str) -> None:
    assert find_tasks(name) == (BENCHMARKS["nh_haze"],)


def test_raindrop_is_the_test_set_and_its_stand_in_the_degradation() -> None:
    (found,) = find_tasks("raindrop")
    assert found.home
    own = stand_in(found)
    assert is_synthetic(own)
    assert (own.name, own.task) == ("raindrop", "raindrop")
    assert own.published is None
    assert "stand-in" in own.title


def test_the_issue_s_names_and_groups_are_there() -> None:
    named = [
        *("gopro", "hide", "realblur_j", "dpdd", "snow100k_s", "snow100k_m", "snow100k_l", "realsnow"),
        *("dense_haze", "nh_haze", "sots_indoor", "sots_outdoor", "raindrop", "rain1400", "outdoor_rain", "lhp"),
        *("rain100l", "rain100h", "sidd", "polyu", "cc15", "nam", "live1", "bsd500_jpeg", "lol_v1", "cdd11"),
        *("euvp", "turbid"),
    ]
    named += [f"{name}_s{sigma}" for name in ("cbsd68", "kodak24", "mcmaster", "urban100") for sigma in (15, 25, 50)]
    assert set(named) <= set(BENCHMARKS)
    assert {"table1", "table2", "table3", "table4", "aio3", "aio5", "all"} <= set(GROUPS)
    assert len(find_tasks("wed_mixed")) == 6
    assert len({tuple(own.task.split("+")) for own in find_tasks("wed_mixed")}) == 6
    assert find_tasks("all") == tuple(BENCHMARKS.values())
    assert [own.task for own in find_tasks("synthetic")] == list(NAMES)


@pytest.mark.parametrize(("group", "size"), [("composites2", 2), ("composites3", 3)])
def test_composites_of_one_size_are_a_group_that_holds_every_degradation(group: str, size: int) -> None:
    members = [own.task.split("+") for own in find_tasks(group)]
    assert len({tuple(member) for member in members}) == 12
    assert {len(member) for member in members} == {size}
    assert {name for member in members for name in member} == set(NAMES)


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_a_test_set_is_whole_and_explains_itself(benchmark: Benchmark) -> None:
    text = explain(benchmark)
    for hint in (benchmark.title, benchmark.home, benchmark.layouts[0].target, "STANDIN=1", "PSNR: "):
        assert hint in text
    assert benchmark.home.startswith("http")
    assert benchmark.folders
    assert (benchmark.synthesis is None) == any(layout.input for layout in benchmark.layouts)
    if "{" not in benchmark.task:
        parse(benchmark.task)
    assert is_synthetic(stand_in(benchmark))


def test_the_listing_has_every_task_and_fits_a_terminal() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(listing())
    text = console.export_text()
    assert all(name in text for name in (*BENCHMARKS, *GROUPS))
    named = [name for name in BENCHMARKS if any(line.split()[:1] == [name] for line in text.splitlines())]
    assert named == list(BENCHMARKS)  # no name is cut or broken


@pytest.mark.parametrize("group", ["synthetic", "composites2", "composites3"])
def test_a_listing_names_all_that_degrades(group: str) -> None:
    """And says by what to ask for a degradation whose name is that of a test set, too."""
    console = Console(width=80, record=True, file=StringIO())
    console.print(listing(find_tasks(group)))
    text = " ".join(console.export_text().split())
    for own in find_tasks(group):
        assert all(f"{name} (" in text for name in own.task.split("+"))
    assert ("raindrop (STANDIN=1)" in text) == (group == "synthetic")


@pytest.mark.parametrize(
    ("name", "near"),
    [("gorpo", "gopro"), ("motionblur", "motion_blur"), ("rain+nose", "noise"), ("snw", "snow"), ("tabel1", "table1")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown .*did you mean .*\b{near}\b"):
        find_tasks(name)


def test_a_name_near_to_nothing_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match=r"motion_blur.*turbid"):
        find_tasks("xyzzy")
