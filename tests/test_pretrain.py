"""The shipped model anew: which parts are trained on what, and what is written in the end."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from defusion.cli.pretrained import SECONDS_A_STEP, parts, pretrain
from defusion.describer.network import Describer, DescriberConfig
from defusion.diffusion.model import Defusion
from defusion.evaluation.report import write_json
from defusion.restore.restorer import Restorer
from defusion.study import training
from defusion.study.plan import Training
from tests.test_experiments import EXPERIMENTS


def value(own: Training, name: str) -> str:
    return own.arguments[own.arguments.index(f"--{name}") + 1]


def test_each_part_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    found = parts("owner/photos", tmp_path / "alex.safetensors", EXPERIMENTS, tmp_path)
    assert (
        list(found)
        == list(SECONDS_A_STEP)
        == ["tokenizer", "first", "middle", "finish", "describer", "describer_finish", "describer_pictures"]
    )
    assert {name: own.steps for name, own in found.items()} == {
        "tokenizer": 2000,
        "first": 15_800,
        "middle": 3600,
        "finish": 10_000,
        "describer": 20_000,
        "describer_finish": 7000,
        "describer_pictures": 2000,
    }
    assert "--model.init_args.start" not in found["first"].arguments
    assert value(found["middle"], "model.init_args.start") == str(tmp_path / "first" / "weights")
    assert value(found["finish"], "model.init_args.start") == str(tmp_path / "middle" / "weights")
    assert value(found["describer_finish"], "model.init_args.start") == str(tmp_path / "describer" / "weights")
    last = found["describer_pictures"]
    assert value(last, "model.init_args.start") == str(tmp_path / "describer_finish" / "weights")
    weights = "model.init_args.perceptual.weights"
    for name, own in found.items():
        assert value(own, "data.init_args.data") == "owner/photos"
        assert value(own, "trainer.default_root_dir") == str(tmp_path / name)
        assert (f"--{weights}" in own.arguments) == (name == "tokenizer")
        assert (own.tokenizer is found["tokenizer"]) == (name != "tokenizer")
        assert all(file.is_file() for file in own.files)
    assert [file.stem for file in found["finish"].files] == ["base", "small", "small_finish"]
    assert value(found["tokenizer"], weights) == str(tmp_path / "alex.safetensors")


def test_no_two_parts_of_the_diffusion_draw_alike() -> None:
    drawn = []
    for name in ("small", "small_middle", "small_finish"):
        own: dict[str, Any] = yaml.safe_load((EXPERIMENTS / f"diffusion/{name}.yaml").read_text())
        drawn.append((own["model"]["init_args"].get("seed", 0), own["data"]["init_args"].get("seed", 0)))
    assert drawn == [(0, 0), (1, 1), (2, 2)]


def test_what_is_written_restores_and_is_not_trained_again(
    model: Defusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = DescriberConfig(crop_size=32, channels=(16, 24), blocks=(1, 1), width=32)
    trained = []

    def train(own: Training) -> None:
        trained.append(own.folder.name)
        network = Describer(shape, model.tokenizer) if own.folder.name.startswith("describer") else model
        network.save(own.weights)
        write_json(own.folder / "settings.json", own.settings())

    monkeypatch.setattr(training, "train", train)
    monkeypatch.chdir(EXPERIMENTS.parent)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").touch()
    pretrain(tmp_path / "out", runs=tmp_path / "runs")
    assert trained == list(SECONDS_A_STEP)
    assert Restorer.from_pretrained(tmp_path / "out").describer is not None
    assert "README.md speaks of the weights before" in " ".join(capsys.readouterr().out.split())
    trained.clear()
    shutil.rmtree(tmp_path / "runs" / "finish")
    pretrain(tmp_path / "again", runs=tmp_path / "runs")
    assert trained == ["finish"], "the others were there"
    with pytest.raises(training.TrainingError, match="trained with other settings"):
        pretrain(tmp_path / "again", "owner/photos", runs=tmp_path / "runs")
    assert trained == ["finish"]


def test_a_part_is_another_one_after_another_part(tmp_path: Path) -> None:
    """With another first part those that go on from it, straight or through another, are not what they were."""
    before = parts(None, None, EXPERIMENTS, tmp_path)
    shutil.copytree(EXPERIMENTS, tmp_path / "experiments")
    file = tmp_path / "experiments" / "diffusion" / "small_middle.yaml"
    file.write_text(file.read_text().replace("max_steps: 3600", "max_steps: 3601"))
    after = parts(None, None, tmp_path / "experiments", tmp_path)
    assert [name for name in before if before[name].settings() != after[name].settings()] == ["middle", "finish"]


def test_trainings_of_the_users_own_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(EXPERIMENTS.parent)
    (tmp_path / "describer" / "nano").mkdir(parents=True)
    with pytest.raises(training.TrainingError, match="got one with nano: give another folder with --runs"):
        pretrain(tmp_path / "out", runs=tmp_path)
    assert (tmp_path / "describer" / "nano").is_dir()


def test_it_is_for_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected the folder experiments of the repository"):
        pretrain(tmp_path / "out")
