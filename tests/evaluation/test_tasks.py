from pathlib import Path

import pytest

from defusion.evaluation.tasks import (
    DATASETS,
    SYNTHETIC,
    DatasetTask,
    MissingDataError,
    SyntheticTask,
    find_task,
)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_degradation_is_a_task(name: str) -> None:
    task = find_task(name)
    assert task == SyntheticTask(name)
    assert name in task.protocol


def test_composites_keep_their_order() -> None:
    assert find_task("rain+noise").name == "rain+noise"
    assert find_task("noise+rain").name == "noise+rain"
    assert "rain (0.5), then noise (Gaussian, sigma 25)" in find_task("rain+noise").protocol


@pytest.mark.parametrize("name", ["NH-HAZE", "nh_haze", " nh-haze "])
def test_data_sets_go_by_any_common_spelling(name: str) -> None:
    assert find_task(name) is DATASETS["nh_haze"]


def test_raindrop_is_the_degradation_and_its_data_set_has_another_name() -> None:
    assert isinstance(find_task("raindrop"), SyntheticTask)
    assert isinstance(find_task("raindrop_test_a"), DatasetTask)
    assert not set(SYNTHETIC) & set(DATASETS)


@pytest.mark.parametrize("task", DATASETS.values(), ids=DATASETS)
def test_a_data_set_that_is_missing_explains_itself(task: DatasetTask, tmp_path: Path) -> None:
    assert isinstance(find_task(task.stand_in), SyntheticTask)
    for data in (None, tmp_path):
        with pytest.raises(MissingDataError) as caught:
            task.require(data)
        for hint in (task.source, task.home, "DIR/input", "DIR/target", f"make eval TASK={task.stand_in}"):
            assert hint in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_data_set_is_found_in_input_and_target(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    with pytest.raises(MissingDataError):
        DATASETS["gopro"].require(tmp_path)
    (tmp_path / "target").mkdir()
    assert DATASETS["gopro"].require(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("name", "near"),
    [("gorpo", "gopro"), ("motion blur", "motion_blur"), ("rain+nose", "noise"), ("snw", "snow")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown .*did you mean .*\b{near}\b"):
        find_task(name)


def test_a_name_near_to_nothing_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match=r"motion_blur.*turbid"):
        find_task("xyzzy")
