"""Trainings are done once, go on where they were, and say what went wrong."""

from pathlib import Path

import pytest

from defusion.study.plan import Training
from defusion.study.training import TrainingError, state_of, train
from tests.study.made_up_runs import calls, program, study


def training(folder: Path, steps: int = 100) -> Training:
    own = study(folder, steps=steps)
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
    (own.folder / "events.of.a.training.that.was.killed").touch()
    train(own, program(tmp_path))
    assert calls(tmp_path) == [own.arguments]
    assert not list(own.folder.glob("events*"))


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_train_anew_and_say_so(
    finished: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, now = training(tmp_path), training(tmp_path, steps=200)
    if not finished:
        (tmp_path / "fails").touch()
        with pytest.raises(TrainingError):
            train(before, program(tmp_path))
        (tmp_path / "fails").unlink()
    else:
        train(before, program(tmp_path))
    (before.folder / "scores.json").touch()
    assert state_of(now) == "changed"
    train(now, program(tmp_path))
    assert calls(tmp_path)[-1] == now.arguments
    assert not (now.folder / "scores.json").exists()
    said = " ".join(capsys.readouterr().out.split())
    assert "label, seed 0: trains anew, for its settings differ: values.trainer.max_steps was 100, is 200" in said


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
