"""The file that measuring writes and the report reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from defusion.study.scores import Measurement, Scores, ScoresError
from tests.study.made_up import measurement, scores

MORE = ("tokenizer_seconds", "provenance", "identity", "curve", "measurements")


@pytest.mark.parametrize("lpips", [0.1, None])
def test_scores_come_back_from_the_disk(lpips: float | None, tmp_path: Path) -> None:
    own = replace(scores(lpips=lpips), identity={"ways": [{"name": "main"}], "lpips": None})
    own.write(tmp_path / "deep" / "scores.json")
    read = Scores.read(tmp_path / "deep" / "scores.json")
    assert read == own
    assert read.main.metrics == (("psnr", "ssim", "lpips") if lpips else ("psnr", "ssim"))


def test_the_file_has_the_agreed_layout(tmp_path: Path) -> None:
    scores().write(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text())
    assert list(data) == ["variant", "seed", "parameters", "train_steps", "train_seconds", *MORE]
    assert all(len(point) == 2 for point in data["curve"])
    own = data["measurements"][0]
    assert list(own) == ["name", "instruction", "sampler", "steps", "severity", "images"]
    assert list(own["images"][0]) == ["task", "name", "input", "restored"]


def test_a_measurement_is_found_by_its_name() -> None:
    own = scores()
    assert own.measurement("main") is own.main
    assert own.measurement("steps-4") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"curve": [], "measurements": []}'])
def test_another_file_is_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(ScoresError, match=r"scores\.json: not the scores of a run"):
        Scores.read(tmp_path / "scores.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"scores\.json: cannot be read"):
        Scores.read(tmp_path / "scores.json")


def test_measurements_have_different_names_and_main_among_them() -> None:
    own = scores()
    for wrong in ((), (measurement("steps-1"),), (own.main, own.main)):
        with pytest.raises(ValueError, match="expected 'main' and others"):
            replace(own, measurements=wrong)


def test_photographs_come_once_and_with_the_same_metrics() -> None:
    images = measurement().images
    with pytest.raises(ValueError, match="twice under rain"):
        Measurement("main", "type-matched", "ddim", 1, 0.5, (images[0], images[0]))
    with pytest.raises(ValueError, match="expected the same metrics"):
        Measurement("main", "type-matched", "ddim", 1, 0.5, (images[0], measurement(lpips=None).images[1]))
    with pytest.raises(ValueError, match="at least one picture"):
        Measurement("main", "type-matched", "ddim", 1, 0.5, ())
