"""Trainings are done once, go on where they were, and say what went wrong."""

from pathlib import Path

import pytest

from defusion.study import provenance
from defusion.study.plan import Training
from defusion.study.provenance import code_digest, provenance_of
from defusion.study.training import TrainingError, check, state_of, train
from tests.study.made_up_runs import calls, program, study


def training(folder: Path, data: str | None = None) -> Training:
    own = study(folder, data=data)
    return own.runs(own.variants(["label"]))[0].training


def test_a_finished_training_is_skipped(tmp_path: Path) -> None:
    own = training(tmp_path)
    assert state_of(own) == "new"
    train(own, program(tmp_path))
    assert state_of(own) == "trained"
    train(own, program(tmp_path))
    assert calls(tmp_path) == [own.arguments]


def test_an_interrupted_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = training(tmp_path)
    (tmp_path / "fails").touch()
    with pytest.raises(TrainingError):
        train(own, program(tmp_path))
    assert state_of(own) == "interrupted"
    (tmp_path / "fails").unlink()
    train(own, program(tmp_path))
    assert calls(tmp_path) == [own.arguments, [*own.arguments, "--ckpt_path", "last"]]
    assert "goes on from its last checkpoint" in capsys.readouterr().out
    assert state_of(own) == "trained"
    assert not (own.folder / "checkpoints").exists()


def test_what_never_came_to_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    own = training(tmp_path)
    own.folder.mkdir(parents=True)
    (own.folder / "settings.json").write_text("{}")
    (own.folder / "events.of.a.training.that.was.killed").touch()
    train(own, program(tmp_path))
    assert calls(tmp_path) == [own.arguments]
    assert not list(own.folder.glob("events*"))


def test_a_folder_that_holds_something_else_is_kept(tmp_path: Path) -> None:
    own = training(tmp_path)
    (own.folder / "nano").mkdir(parents=True)
    (own.folder / "nano" / "weights").touch()
    assert state_of(own) == "occupied"
    for refused in (lambda: check([own]), lambda: train(own, program(tmp_path))):
        with pytest.raises(TrainingError, match=r"expected no such folder.*got one with nano: give another folder"):
            refused()
    assert (own.folder / "nano" / "weights").exists()
    assert calls(tmp_path) == []


def test_the_code_that_trained_is_noted_and_so_is_its_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = training(tmp_path)
    (tmp_path / "fails").touch()
    for _ in range(2):
        with pytest.raises(TrainingError, match="out of luck"):
            train(own, program(tmp_path))
    assert provenance_of(own.folder, 256).code == code_digest()
    (tmp_path / "fails").unlink()
    monkeypatch.setattr(provenance, "code_digest", lambda: "another")
    train(own, program(tmp_path))
    assert provenance_of(own.folder, 256).code == f"{code_digest()}, another"


@pytest.mark.parametrize("finished", [True, False])
def test_what_other_settings_trained_is_kept_and_named(finished: bool, tmp_path: Path) -> None:
    before, now = training(tmp_path), training(tmp_path, data="owner/photos")
    if not finished:
        (tmp_path / "fails").touch()
        with pytest.raises(TrainingError, match="out of luck"):
            train(before, program(tmp_path))
        (tmp_path / "fails").unlink()
    else:
        train(before, program(tmp_path))
    kept = sorted(before.folder.rglob("*"))
    assert state_of(now) == "changed"
    for refuses in (lambda: train(now, program(tmp_path)), lambda: check([before, now, now])):
        with pytest.raises(TrainingError) as raised:
            refuses()
        assert f"label, seed 0: {now.folder} was trained with other settings" in str(raised.value)
        assert "values.data.init_args.data was None, is owner/photos" in str(raised.value)
        assert "--runs" in str(raised.value)
    assert "other settings (and 1 more)" in str(raised.value)
    assert len(calls(tmp_path)) == 1
    assert sorted(before.folder.rglob("*")) == kept
    check([before])


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_weights_of_unknown_settings_are_kept_too(damage: str, tmp_path: Path) -> None:
    own = training(tmp_path)
    train(own, program(tmp_path))
    if damage:
        (own.folder / "settings.json").write_text(damage)
    else:
        (own.folder / "settings.json").unlink()
    with pytest.raises(TrainingError, match=r"its settings\.json is missing or damaged"):
        train(own, program(tmp_path))
    assert own.weights.is_dir()


def test_a_failure_shows_the_end_of_its_log(tmp_path: Path) -> None:
    own = training(tmp_path)
    (tmp_path / "fails").touch()
    with pytest.raises(TrainingError) as raised:
        train(own, program(tmp_path))
    message = str(raised.value)
    assert "label, seed 0: failed with code 3" in message
    assert str(own.folder / "log.txt") in message
    assert "line 39" in message
    assert "out of luck" in message
    assert "line 9\n" not in message


def test_a_training_that_ends_without_weights_has_failed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ended without weights"):
        train(training(tmp_path), ("true",))
