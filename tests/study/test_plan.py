"""The plan: what is trained, where, and with what."""

from pathlib import Path

import pytest

from defusion.study.plan import TIMED_STEPS, VALIDATIONS, Study
from defusion.study.timing import WARM_UP
from tests.study.made_up_runs import study
from tests.test_experiments import settings


def value(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(f"--{name}") + 1]


def test_every_variant_is_trained_with_every_seed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    own = study(tmp_path, seeds=3)
    runs = own.runs([*own.variants(), *own.peers()])
    assert len(runs) == 3 * 17
    assert len({run.training.folder for run in runs}) == len(runs)
    assert runs[0].training.folder == tmp_path / "runs" / "100-steps" / "full" / "seed0"
    assert {run.seed for run in runs} == {0, 1, 2}


def test_a_run_is_told_its_steps_seed_data_and_tokenizer(tmp_path: Path) -> None:
    own = study(tmp_path, data="owner/photos", steps=800)
    run = own.runs(own.variants(["blank"]))[1]
    arguments = run.training.arguments
    assert arguments[0] == "fit"
    assert [Path(word).stem for word in arguments[2:7:2]] == ["base", "base", "blank"]
    assert value(arguments, "trainer.max_steps") == "800"
    assert value(arguments, "data.init_args.steps_per_epoch") == str(800 // VALIDATIONS)
    assert {value(arguments, f"{part}.init_args.seed") for part in ("data", "model")} == {"1"}
    assert value(arguments, "seed_everything") == "1"
    assert value(arguments, "data.init_args.data") == "owner/photos"
    assert value(arguments, "model.init_args.tokenizer") == str(own.place / "tokenizer-blank" / "weights")


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
    found = [own.runs(own.variants(["label"]))[0].training.settings() for own in (first, elsewhere, longer)]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0]["tokenizer"] != found[2]["tokenizer"]


def test_a_folder_is_the_same_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    studies = [study(tmp_path, data=own) for own in ("photos", "photos/", "./photos", str(tmp_path / "photos"))]
    found = [own.runs(own.variants(["label"]))[0].training.settings() for own in studies]
    assert all(own == found[0] for own in found)
    assert found[0] != study(tmp_path).runs(study(tmp_path).variants(["label"]))[0].training.settings()


def test_studies_of_other_lengths_have_places_of_their_own(tmp_path: Path) -> None:
    short, long = study(tmp_path, steps=100), study(tmp_path, steps=1000)
    trainings = [
        [own.tokenizer("te42"), *(run.training for run in own.runs([*own.variants(), *own.peers()]))]
        + [own.timing(variant) for variant in own.peers()]
        for own in (short, long)
    ]
    places = [{training.folder for training in own} for own in trainings]
    assert not places[0] & places[1]


def test_a_step_is_timed_within_one_epoch_and_each_is_logged(tmp_path: Path) -> None:
    own = study(tmp_path)
    timing = own.timing(own.peers(["nafnet"])[0])
    assert timing.steps == WARM_UP + TIMED_STEPS
    assert value(timing.arguments, "data.init_args.steps_per_epoch") == str(timing.steps)
    assert value(timing.arguments, "trainer.log_every_n_steps") == "1"


def test_the_size_of_crops_is_that_of_the_experiments(tmp_path: Path) -> None:
    assert study(tmp_path).crop_size == settings("ablation/base.yaml")["data"]["init_args"]["crop_size"]


def test_unknown_names_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only: expected names of full, .* got fool"):
        study(tmp_path).variants(["full", "fool"])
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        study(tmp_path, steps=0)
    with pytest.raises(ValueError, match=r"experiments: expected a folder with ablation.base\.yaml"):
        Study(None, 1, 1, tmp_path)
