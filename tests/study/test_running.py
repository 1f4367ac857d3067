"""The study is carried out once, peers in the reference's time, and the commands show and report it."""

import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from defusion import cli
from defusion.imageio import write_png
from defusion.random import generator
from defusion.study import running
from defusion.study.claims import PEERS
from defusion.study.measuring import identity_of
from defusion.study.plan import Run, Study
from defusion.study.report import BEGIN
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


@pytest.fixture(autouse=True)
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "measure", measure)
    monkeypatch.setattr(running, "is_measured", lambda run, *_: run.scores.is_file())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(study(tmp_path), PHOTOGRAPHS, program=program(tmp_path))


def trained(folder: Path) -> list[str]:
    """The folders that the program trained in, in order."""
    found = (Path(call[call.index("--trainer.default_root_dir") + 1]) for call in calls(folder))
    return [own.relative_to(folder / "runs" / "100-steps").as_posix() for own in found]


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


def test_other_data_are_refused_before_anything_is_trained(runner: Runner, tmp_path: Path) -> None:
    runner.do(runner.ablation(["full"]))
    before = trained(tmp_path)
    other = replace(runner, study=study(tmp_path, data="owner/photos"))
    for carries_out in (lambda: other.do(other.ablation(["label", "full"])), lambda: other.peers(["nafnet"])):
        with pytest.raises(TrainingError, match=r"tokenizer, te42: .*\.data was None, is owner/photos"):
            carries_out()
    assert trained(tmp_path) == before
    assert len(runner.scores()) == 2


def test_another_length_leaves_what_is_done(runner: Runner, tmp_path: Path) -> None:
    runner.do(runner.ablation(["full"]))
    longer = replace(runner, study=study(tmp_path, steps=1000))
    longer.do(longer.ablation(["full"]))
    assert len(runner.scores()) == len(longer.scores()) == 2


def test_photographs_need_names_of_their_own() -> None:
    for names, got in ((["a", "b", "a"], "named a"), ([], "got none")):
        photographs = Pictures(paired=False)
        photographs.names = names
        with pytest.raises(ValueError, match=f"photographs: expected at least one.* {got}"):
            Runner(study(Path("nowhere")), photographs)


def test_variants_with_fewer_seeds_are_known(runner: Runner) -> None:
    runs = runner.ablation(["full", "label"])
    runner.do(runs)
    assert not runner.unfinished()
    runs[1].scores.unlink()
    assert [(run.variant.name, run.seed) for run in runner.unfinished()] == [("label", 0)]


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
    with pytest.raises(ValueError, match="only: expected names of plain"):
        runner.peers(["nafnot"])
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


def run(*arguments: str) -> int:
    """The command's exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["defusion", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the experiments in it."""
    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["ablation", "peers"])
def test_bad_input_is_refused_first_also_by_a_dry_run(
    command: str, repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "empty").mkdir()
    (repository / "small").mkdir()
    for name in "abc":
        write_png(repository / "small" / f"{name}.png", torch.rand(3, 20, 20, generator=generator(0)))
    (repository / "half.md").write_text(f"text\n{BEGIN}\n")
    refused = (
        (("--data", "./photos/nowhere"), "not found"),
        (("--data", "empty"), "no pictures found"),
        (("--data", "small"), "smaller than 64 px"),
        (("--out", "half.md"), "one of them alone"),
        (("--out", "empty"), "expected the name of a file"),
        (("--runs", "half.md"), "is a file"),
        (("--lpips", "alexnet.pth"), "alexnet.pth"),
        (("--only", "fool"), "only: expected names of"),
    )
    for arguments, message in refused:
        assert run(command, "--dry-run", *arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    monkeypatch.setitem(sys.modules, "defusion.study.report", None)
    assert run(command, "--dry-run") == 2
    assert "the study needs" in capsys.readouterr().err
    assert not (repository / "runs").exists()


def test_a_dry_run_says_what_other_settings_trained(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(Study("owner/photos", 100, 1).tokenizer("te42"))
    assert run("ablation", "--dry-run", "--steps", "100") == 2
    assert "runs/ablation/100-steps/tokenizer-te42 was trained with other settings" in capsys.readouterr().err
    assert run("ablation", "--dry-run", "--steps", "101") == 0
    assert run("ablation", "--dry-run", "--steps", "100", "--runs", "runs/second") == 0


def test_the_commands_plan_and_report(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the outside, all done: a dry run writes nothing, and the report gathers variants and peers."""
    assert run("ablation", "--dry-run", "--seeds", "1") == 0
    assert run("peers", "--dry-run", "--steps", "30") == 0
    assert not (repository / "runs").exists()
    planned = capsys.readouterr().out
    assert "0 of 14 runs are done" in planned
    assert planned.count("to be timed") == len(PEERS)
    runner = Runner(Study(None, 100, 1), PHOTOGRAPHS)
    for own in [*runner.study.variants(["full"]), *runner.study.peers()]:
        finish(runner.study.timing(own))
    for each in (*runner.ablation(["full", "label"]), *runner.planned_peers()):
        finish(each.training)
        measure(each)
    arguments = ("--steps", "100", "--seeds", "1", "--out", "RESULTS.md")
    assert run("ablation", *arguments, "--only", "full,label") == 0
    report = (repository / "RESULTS.md").read_text()
    assert "label" in report
    assert "nafnet" in report
    more = Runner(Study(None, 100, 2), PHOTOGRAPHS)
    again = more.ablation(["full"])[1]
    finish(again.training)
    measure(again)
    capsys.readouterr()
    assert run("ablation", "--only", "full", "--steps", "100", "--seeds", "2") == 0
    assert "full" in (more.study.place / "RESULTS.md").read_text()
    assert "fewer seeds in the report, for these are not done: label with seed 1, plain with seed 1" in " ".join(
        capsys.readouterr().out.split()
    )
