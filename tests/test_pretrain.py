"""The shipped model anew: which parts are trained on what, and what is written in the end."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from defusion.cli.pretrained import SECONDS_A_STEP, parts, pretrain
from defusion.describer.network import Describer, DescriberConfig
from defusion.diffusion.model import Defusion
from defusion.restore.restorer import Restorer
from defusion.study import training
from defusion.study.plan import Training
from tests.test_experiments import EXPERIMENTS


def value(own: Training, name: str) -> str:
    return own.arguments[own.arguments.index(f"--{name}") + 1]


def test_each_part_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    found = parts("owner/photos", tmp_path / "alex.safetensors", EXPERIMENTS, tmp_path)
    assert list(found) == list(SECONDS_A_STEP) == ["tokenizer", "first", "middle", "finish", "describer"]
    assert {name: own.steps for name, own in found.items() if name != "describer"} == {
        "tokenizer": 2000,
        "first": 15_800,
        "middle": 3600,
        "finish": 10_000,
    }
    assert "--model.init_args.start" not in found["first"].arguments
    assert value(found["middle"], "model.init_args.start") == str(tmp_path / "first" / "weights")
    assert value(found["finish"], "model.init_args.start") == str(tmp_path / "middle" / "weights")
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


def test_what_is_written_restores(model: Defusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shape = DescriberConfig(crop_size=32, channels=(16, 24), blocks=(1, 1), width=32)
    trained = []

    def train(own: Training) -> None:
        trained.append(own.folder.name)
        network = Describer(shape, model.tokenizer) if own.folder.name == "describer" else model
        network.save(own.weights)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.chdir(EXPERIMENTS.parent)
    pretrain(tmp_path / "out", runs=tmp_path / "runs")
    assert trained == ["tokenizer", "first", "middle", "finish", "describer"]
    assert Restorer.from_pretrained(tmp_path / "out").describer is not None


def test_it_is_for_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected the folder experiments of the repository"):
        pretrain(tmp_path / "out")
