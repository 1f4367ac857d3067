"""The study is carried out once, peers in the reference's time, and the commands show and report it."""

import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from defusion import cli
from defusion.cli import study as commands
from defusion.study import running
from defusion.study.claims import PEERS
from defusion.study.measuring import identity_of
from defusion.study.plan import Run
from defusion.study.running import Runner
from defusion.study.scores import Scores
from defusion.study.training import TrainingError
from tests.evaluation.test_testset import Pictures
from tests.study import made_up
from tests.study.made_up_runs import calls, finish, program, study
from tests.test_experiments import EXPERIMENTS

PHOTOGRAPHS = Pictures(paired=False)


def measure(run: Run, *_: Any) -> Scores:
    """Measures nothing: it writes scores of no network."""
    scores = replace(made_up.scores(run.variant.name, run.seed), identity=identity_of(run, PHOTOGRAPHS, None))
    scores.write(run.scores)
    return scores


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(running, "measure", measure)
    return Runner(study(tmp_path), PHOTOGRAPHS, program=program(tmp_path))


def trained(folder: Path) -> list[str]:
    """The folders that the program trained in, in order."""
    found = (Path(call[call.index("--trainer.default_root_dir") + 1]) for call in calls(folder))
    return [own.relative_to(folder / "runs").as_posix() for own in found]


def text(runner: Runner, runs: list[Run]) -> str:
    shown = StringIO()
    Console(width=200, file=shown).print(runner.table(runs))
    return shown.getvalue()


def test_tokenizers_come_first_and_what_is_done_is_skipped(runner: Runner, tmp_path: Path) -> None:
    runner.do(runner.ablation(["full"]))
    assert trained(tmp_path) == ["tokenizer-te42", "full/seed0", "full/seed1"]
    runner.do(runner.ablation(["full", "label", "blank"]))
    assert trained(tmp_path)[3:] == [
        "tokenizer-blank",
        *(f"{name}/seed{seed}" for seed in (0, 1) for name in ("label", "blank")),
    ]
    assert len(runner.scores()) == 6
    runner.do(runner.ablation(["full", "label", "blank"]))
    assert len(trained(tmp_path)) == 8


def test_a_failure_stops_the_study_which_goes_on_from_there(runner: Runner, tmp_path: Path) -> None:
    runner.do(runner.ablation(["full"]))
    (tmp_path / "fails").touch()
    with pytest.raises(TrainingError, match="out of luck"):
        runner.do(runner.ablation(["full", "label"]))
    assert trained(tmp_path)[3:] == ["label/seed0"]
    (tmp_path / "fails").unlink()
    runner.do(runner.ablation(["full", "label"]))
    assert trained(tmp_path)[4:] == ["label/seed0", "label/seed1"]
    assert calls(tmp_path)[4][-2:] == ["--ckpt_path", "last"]


def test_a_run_that_is_trained_but_not_measured_is_not_trained_again(runner: Runner, tmp_path: Path) -> None:
    runs = runner.ablation(["full"])
    runner.do(runs)
    runs[1].scores.unlink()
    runner.do(runs)
    assert runs[1].scores.exists()
    assert len(trained(tmp_path)) == 3


def test_peers_take_the_time_of_the_reference(runner: Runner) -> None:
    seconds = {"full": 0.5, "plain": 0.25, "nafnet": 2.0, "uformer": 1.0}
    variants = [*runner.study.variants(["full"]), *runner.study.peers()]
    for own in variants:
        finish(runner.study.timing(own), seconds[own.name])
    steps = {run.variant.name: run.training.steps for run in runner.peers()}
    assert steps == {"full": 100, "plain": 200, "nafnet": 25, "uformer": 50}
    assert {run.training.folder for run in runner.ablation(["full"])} < {
        run.training.folder for run in runner.peers(["nafnet"])
    }


def test_all_times_are_taken_in_one_go_before_any_peer_is_trained(runner: Runner, tmp_path: Path) -> None:
    planned = runner.planned_peers(["nafnet"])
    assert {run.training.steps for run in planned} == {100}
    assert not calls(tmp_path)
    finish(runner.study.timing(runner.study.peers(["nafnet"])[0]))
    with pytest.raises(ValueError, match="train/seconds"):  # which the made-up program does not log
        runner.peers(["nafnet"])
    assert trained(tmp_path) == ["tokenizer-te42", *(f"timing/{name}" for name in ("full", *PEERS))]


def test_the_table_shows_how_far_each_run_is(runner: Runner, tmp_path: Path) -> None:
    runs = runner.ablation(["full", "label"])
    shown = text(runner, runs)
    assert "0 of 4 runs are done" in shown
    assert "a learnt embedding of each task's name" in shown
    runner.do(runner.ablation(["full"]))
    rows = [line.split() for line in text(runner, runs).splitlines() if line.strip()]
    assert [row[-2:] for row in rows if row[0] in ("full", "label")] == [["done", "done"], ["new", "new"]]
    assert "2 of 4 runs are done" in text(runner, runs)


def test_the_commands_plan_and_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """From the outside, all done: a dry run writes nothing, and the report gathers variants and peers."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["defusion", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "open_clean", lambda data: PHOTOGRAPHS)
    assert run("ablation", "--dry-run", "--seeds", "1") == 0
    assert run("peers", "--dry-run", "--steps", "30") == 0
    assert not (tmp_path / "runs").exists()
    assert "0 of 13 runs are done" in capsys.readouterr().out
    runner = commands._runner(None, 100, 1, None)
    for own in [*runner.study.variants(["full"]), *runner.study.peers()]:
        finish(runner.study.timing(own))
    for each in (*runner.ablation(["full", "label"]), *runner.planned_peers()):
        finish(each.training)
        measure(each)
    arguments = ("--steps", "100", "--seeds", "1", "--out", "RESULTS.md")
    assert run("ablation", *arguments, "--only", "full,label") == 0
    report = (tmp_path / "RESULTS.md").read_text()
    assert "label" in report
    assert "nafnet" in report
    assert run("ablation", "--only", "lable", *arguments) == 2
    assert "only: expected names of full" in capsys.readouterr().err
