"""The plan: what is trained, where, and with what."""

from pathlib import Path

import pytest

from defusion.study.plan import VALIDATIONS, Study
from tests.study.made_up_runs import study


def value(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(f"--{name}") + 1]


def test_every_variant_is_trained_with_every_seed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    own = study(tmp_path, seeds=3)
    runs = own.runs([*own.variants(), *own.peers()])
    assert len(runs) == 3 * 16
    assert len({run.training.folder for run in runs}) == len(runs)
    assert runs[0].training.folder == tmp_path / "runs" / "full" / "seed0"
    assert {run.seed for run in runs} == {0, 1, 2}


def test_a_run_is_told_its_steps_seed_data_and_tokenizer(tmp_path: Path) -> None:
    own = study(tmp_path, data="photos/", steps=800)
    run = own.runs(own.variants(["blank"]))[1]
    arguments = run.training.arguments
    assert arguments[0] == "fit"
    assert [Path(word).stem for word in arguments[2:7:2]] == ["base", "base", "blank"]
    assert value(arguments, "trainer.max_steps") == "800"
    assert value(arguments, "data.init_args.steps_per_epoch") == str(800 // VALIDATIONS)
    assert {value(arguments, f"{part}.init_args.seed") for part in ("data", "model")} == {"1"}
    assert value(arguments, "seed_everything") == "1"
    assert value(arguments, "data.init_args.data") == "photos/"
    assert value(arguments, "model.init_args.tokenizer") == str(tmp_path / "runs" / "tokenizer-blank" / "weights")


def test_a_peer_has_neither_a_tokenizer_nor_a_seed_of_its_own(tmp_path: Path) -> None:
    own = study(tmp_path)
    run = own.runs(own.peers(["nafnet"]), {"nafnet": 70})[0]
    assert run.training.tokenizer is None
    assert run.training.steps == 70
    assert not [word for word in run.training.arguments if word.startswith("--model")]


def test_a_tokenizer_serves_all_seeds_and_variants_of_its_ground(tmp_path: Path) -> None:
    own = study(tmp_path)
    runs = own.runs(own.variants())
    tokenizers = {run.training.tokenizer.folder.name for run in runs if run.training.tokenizer is not None}
    assert tokenizers == {"tokenizer-te42", "tokenizer-blank", "tokenizer-striped"}
    assert value(own.tokenizer("striped").arguments, "data.init_args.synthesis.chart.kind") == "striped"
    assert value(own.tokenizer("striped").arguments, "model.init_args.config.ground_kind") == "striped"


def test_settings_name_what_is_trained_and_not_where(tmp_path: Path) -> None:
    first, elsewhere = study(tmp_path / "a"), study(tmp_path / "b")
    longer = study(tmp_path / "a", steps=200)
    settings = [own.runs(own.variants(["label"]))[0].training.settings() for own in (first, elsewhere, longer)]
    assert settings[0] == settings[1]
    assert settings[0] != settings[2]
    assert settings[0]["tokenizer"] != settings[2]["tokenizer"]


def test_unknown_names_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only: expected names of full, .* got fool"):
        study(tmp_path).variants(["full", "fool"])
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        study(tmp_path, steps=0)
    with pytest.raises(ValueError, match=r"experiments: expected a folder with ablation.base\.yaml"):
        Study(None, 1, 1, tmp_path)
