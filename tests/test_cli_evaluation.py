"""`defusion eval` and `tasks`: what they write, how they go on, and what they refuse."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich import get_console

from defusion import cli
from defusion.cli import request as cli_request
from defusion.evaluation import runner
from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.imageio import read_image, write_png
from defusion.ledger import Ledger, Row

Run = Callable[..., int]
RESTORE = runner.Evaluator._timed
SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "benchmarks"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Path) -> Run:
    """Runs `defusion ARGUMENTS` in a folder of its own and gives its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(get_console(), "width", 200, raising=False)

    def run(*arguments: object) -> int:
        own = ["--weights", str(weights)] if arguments[0] == "eval" and "--weights" not in arguments else []
        monkeypatch.setattr(sys, "argv", ["defusion", *map(str, arguments), *own])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    return run


def write_pictures(folder: Path, names: list[str], size: tuple[int, int] = (40, 56), seed: int = 0) -> None:
    draw = torch.Generator().manual_seed(seed)
    for name in names:
        write_png(folder / f"{name}.png", torch.rand(3, *size, generator=draw))


@pytest.fixture
def gopro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny GoPro of four pictures in its published layout."""
    names = [f"GOPR0384_11_00/{{}}/00000{number}" for number in range(1, 5)]
    for seed, side in enumerate(("blur", "sharp")):
        write_pictures(tmp_path / "sets" / "GOPRO_Large" / "test", [name.format(side) for name in names], seed=seed)
    monkeypatch.setitem(BENCHMARKS, "gopro", replace(BENCHMARKS["gopro"], count=4))
    return tmp_path / "sets"


def scores(file: Path) -> Any:
    return json.loads(file.read_text())


def restorations(monkeypatch: pytest.MonkeyPatch, most: float = math.inf) -> list[str]:
    """The names of the pictures restored from now on; after `most` of them the disk is full."""
    restored: list[str] = []
    restore = RESTORE

    def counted(self: runner.Evaluator, sample: Any) -> Any:
        if len(restored) >= most:
            raise OSError("no space left on device")
        restored.append(sample.name)
        return restore(self, sample)

    monkeypatch.setattr(runner.Evaluator, "_timed", counted)
    return restored


def test_a_degradation_of_clean_pictures(run: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", ["a", "b"])
    assert run("eval", "--task", "haze", "--data", "photos", "--json", "one.json") == 0
    found = scores(tmp_path / "one.json")
    assert {"task", "protocol", "num_images", "input", "restored", "per_image", "weights", "steps"} <= found.keys()
    assert found["num_images"] == len(found["per_image"]) == 2
    assert [picture["name"] for picture in found["per_image"]] == ["a", "b"]
    mean = np.mean([picture["restored"]["psnr"] for picture in found["per_image"]])
    assert found["restored"]["psnr"] == pytest.approx(mean)
    assert 0 < found["input"]["psnr"] < 30
    assert not list(Path("runs/eval").iterdir())


def test_a_published_layout_below_a_root(run: Run, gopro: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = ("--csv", "one.csv", "--markdown", "one.md", "--page", "one.html", "--save", "restored")
    assert run("eval", "--task", "gopro", "--data", gopro, "--json", "one.json", *arguments) == 0
    found = scores(tmp_path / "one.json")
    assert found["num_images"] == 4
    assert not found["standin"]
    assert not found["subset"]
    assert "blur/{name}" in found["layout"]
    assert "11 x 11 x 11" in found["protocol"]
    rows = list(csv.DictReader((tmp_path / "one.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [picture["name"] for picture in found["per_image"]]
    assert "PromptIR" in (tmp_path / "one.md").read_text() or "MPerceiver" in (tmp_path / "one.md").read_text()
    assert "<html" in (tmp_path / "one.html").read_text()
    saved = sorted((tmp_path / "restored").rglob("*.png"))
    assert len(saved) == 4
    assert read_image(saved[0]).shape == (40, 56, 3)
    printed = capsys.readouterr().out
    assert "Beside the paper's rows" in printed
    assert "PSNR: RGB" in printed


def test_a_stand_in_is_called_one_and_stands_beside_no_published_row(run: Run, tmp_path: Path, capsys: Any) -> None:
    write_pictures(tmp_path / "photos", ["a"])
    arguments = ("--json", "one.json", "--markdown", "one.md", "--page", "one.html")
    assert run("eval", "--task", "gopro", "--standin", "--data", "photos", *arguments) == 0
    assert scores(tmp_path / "one.json")["standin"]
    printed = capsys.readouterr().out
    for text in (printed, (tmp_path / "one.md").read_text(), (tmp_path / "one.html").read_text()):
        assert "stand-in" in text
        assert "MPerceiver" not in text
        assert "Stripformer" not in text


def test_a_group_runs_what_is_there_and_lists_the_rest(run: Run, gopro: Path, tmp_path: Path, capsys: Any) -> None:
    write_pictures(gopro / "live1", [f"target/{number}" for number in range(29)], (24, 24))
    assert run("eval", "--task", "table1", "--data", gopro, "--json", "all.json") == 0
    found = scores(tmp_path / "all.json")
    assert [own["task"] for own in found["results"]] == ["gopro", "live1"]
    assert set(found["missing"]) == {"dpdd", "snow100k_l", "dense_haze", "raindrop", "rain1400", "sidd"}
    printed = capsys.readouterr().out
    assert "https://abdokamel.github.io/sidd/" in printed


def test_an_interrupted_run_goes_on_and_gives_the_same(
    run: Run, gopro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("eval", "--task", "gopro", "--data", gopro, "--json")
    assert run(*arguments, "whole.json") == 0
    restorations(monkeypatch, most=3)
    assert run(*arguments, "cut.json") == 2
    assert not Path("cut.json").exists()
    done = len(next(Path("runs/eval").glob("gopro-*.jsonl")).read_text().splitlines()) - 1
    assert 2 <= done <= 3
    restored = restorations(monkeypatch)
    assert run(*arguments, "cut.json") == 0
    assert len(restored) == 4 - done
    assert Path("cut.json").read_bytes() == Path("whole.json").read_bytes()


def test_changed_pictures_are_scored_anew(run: Run, gopro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restorations(monkeypatch, most=2)
    arguments = ("eval", "--task", "gopro", "--data", gopro, "--json", "one.json")
    assert run(*arguments) == 2
    write_pictures(gopro / "GOPRO_Large/test/GOPR0384_11_00/blur", ["000001"], seed=9)
    restored = restorations(monkeypatch)
    assert run(*arguments) == 0
    assert len(restored) == 4
    monkeypatch.setattr(cli_request, "LEDGERS", Path("elsewhere"))
    assert run(*arguments[:-1], "two.json") == 0
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()


def test_finished_sets_of_a_group_outlive_what_ends_a_later_one(
    run: Run, gopro: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(gopro / "live1", [f"target/{number}" for number in range(29)], (24, 24))
    restorations(monkeypatch, most=7)
    arguments = ("eval", "--task", "table1", "--data", gopro, "--json", "all.json")
    assert run(*arguments) == 2
    restored = restorations(monkeypatch)
    assert run(*arguments) == 0
    assert len(restored) == 29 - 3
    assert not list(Path("runs/eval").iterdir())


def test_a_folder_for_a_file_is_refused_before_anything_is_restored(run: Run, gopro: Path, capsys: Any) -> None:
    assert run("eval", "--task", "gopro", "--data", gopro, "--json", gopro) == 2
    assert "--json" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same(run: Run, tmp_path: Path, weights: Path) -> None:
    write_pictures(tmp_path / "photos", [f"{number:03d}" for number in range(60)], (96, 96))
    arguments = ["eval", "--task", "rain", "--data", "photos", "--weights", str(weights), "--json", "cut.json"]
    process = subprocess.Popen([sys.executable, "-m", "defusion.cli", *arguments], cwd=tmp_path, env=os.environ)
    deadline = time.monotonic() + 120
    while sum(len(file.read_text().splitlines()) for file in tmp_path.glob("runs/eval/*.jsonl")) < 6:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut.json").exists()
    assert run(*arguments) == 0
    assert run(*arguments[:-1], "whole.json") == 0
    assert (tmp_path / "cut.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.mark.slow
def test_several_processes_score_each_picture_once(run: Run, gopro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    add = Ledger.add

    def counted(self: Ledger, row: Row) -> None:
        kept.append(row["name"])
        add(self, row)

    monkeypatch.setattr(Ledger, "add", counted)
    arguments = ("eval", "--task", "gopro", "--data", gopro, "--subset")
    assert run(*arguments, "--json", "one.json") == 0
    assert run(*arguments, "--devices", 2, "--json", "two.json") == 0
    assert len(kept) == 8
    assert len(set(kept)) == 4
    one, two = (scores(Path(name)) for name in ("one.json", "two.json"))
    assert [own["name"] for own in one["per_image"]] == [own["name"] for own in two["per_image"]]
    assert one["restored"]["psnr"] == pytest.approx(two["restored"]["psnr"], abs=1e-4)


def without_partner(root: Path) -> None:
    next((root / "GOPRO_Large").rglob("blur/000002.png")).unlink()


def of_another_size(root: Path) -> None:
    write_pictures(root / "GOPRO_Large/test/GOPR0384_11_00/blur", ["000002"], (40, 57))


def corrupt(root: Path) -> None:
    next((root / "GOPRO_Large").rglob("blur/000002.png")).write_bytes(b"no picture")


def too_few(root: Path) -> None:
    for side in ("blur", "sharp"):
        next((root / "GOPRO_Large").rglob(f"{side}/000002.png")).unlink()


def empty(root: Path) -> None:
    for file in root.rglob("*.png"):
        file.unlink()


def wrong_layout(root: Path) -> None:
    (root / "GOPRO_Large/test").rename(root / "GOPRO_Large/pictures")


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        (without_partner, ["000002", "without"]),
        (of_another_size, ["000002", "57 x 40 against 56 x 40"]),
        (corrupt, ["000002"]),
        (too_few, ["3 pictures found, expected 4", "--subset"]),
        (empty, ["test/{scene}/blur/{name}", "GOPRO_Large"]),
        (wrong_layout, ["test/{scene}/blur/{name}"]),
    ],
)
def test_a_faulty_test_set_is_refused_before_anything_is_restored(
    run: Run, gopro: Path, capsys: Any, spoil: Callable[[Path], None], messages: list[str]
) -> None:
    spoil(gopro)
    assert run("eval", "--task", "gopro", "--data", gopro, "--json", "one.json", "--save", "restored") == 2
    error = capsys.readouterr().err
    assert all(message in error for message in messages), error
    assert "Traceback" not in error
    assert not Path("one.json").exists()
    assert not Path("restored").exists()
    assert not Path("runs").exists()


def test_a_part_on_purpose_is_called_one(run: Run, gopro: Path, capsys: Any) -> None:
    too_few(gopro)
    assert run("eval", "--task", "gopro", "--data", gopro, "--subset", "--json", "one.json") == 0
    assert scores(Path("one.json"))["subset"]
    printed = capsys.readouterr().out
    assert "3 of 4" in printed
    assert "Beside the paper's rows" not in printed


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--task", "gopro"], ["GoPro", "test/{scene}/blur/{name}", "make eval TASK=gopro DATA=DIR", "STANDIN=1"]),
        (["--task", "gopor"], ["did you mean gopro"]),
        (["--task", "snow", "--weights", "nowhere"], ["nowhere"]),
        (["--task", "rain", "--data", "no/such/folder"], ["no/such/folder"]),
        (["--task", "table2"], ["none of its test sets", "NH-HAZE"]),
        (["--task", "rain", "--lpips", "nowhere.pth"], ["nowhere.pth"]),
        (["--task", "live1", "--severity", "0.3"], ["--severity", "live1", "--standin"]),
        (["--task", "rain", "--page", "page.pdf"], ["--page", "ending in .html or .htm", "page.pdf"]),
        (["--task", "rain", "--data", "no/such/folder", "--instruction", "auto"], ["needs a describer"]),  # first
    ],
)
def test_what_cannot_be_evaluated_is_one_message(
    run: Run, capsys: Any, arguments: list[str], messages: list[str]
) -> None:
    assert run("eval", *arguments) == 2
    error = capsys.readouterr().err
    assert all(message in error for message in messages), error
    assert "Traceback" not in error


def test_tasks_are_listed_and_explained(run: Run, capsys: Any) -> None:
    assert run("tasks") == 0
    assert "snow100k_l" in capsys.readouterr().out
    assert run("tasks", "gopro") == 0
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "seungjunnah" in printed
    assert "{scene}/sharp/{name}" in printed
    assert run("tasks", "gorpo") == 2
    capsys.readouterr()
    assert run("tasks", "snow") == 0
    printed = capsys.readouterr().out
    assert "snow (0.5) on clean pictures" in printed
    assert "licence" not in printed  # it has no home
    assert run("tasks", "table1") == 0
    printed = capsys.readouterr().out
    assert "snow100k_l" in printed
    assert "snow100k_s" not in printed


def test_a_severity_changes_the_pictures_and_not_the_instruction(run: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", ["a"], (64, 64))
    found = []
    for severity in (0.1, 0.9):
        arguments = ("--task", "gopro", "--standin", "--data", "photos", "--severity", severity)
        assert run("eval", *arguments, "--json", "one.json") == 0
        found.append(scores(Path("one.json")))
        assert f"motion_blur ({severity})" in found[-1]["dataset"]
    assert found[0]["input"]["psnr"] > found[1]["input"]["psnr"]
    assert found[0]["instruction"] == found[1]["instruction"]


def test_the_oracle_shows_each_picture_its_own(run: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", ["a"], (64, 64))
    arguments = ("eval", "--task", "noise", "--data", "photos", "--json")
    assert run(*arguments, "named.json") == 0
    assert run(*arguments, "oracle.json", "--instruction", "oracle") == 0
    named, oracle = (scores(Path(name)) for name in ("named.json", "oracle.json"))
    assert "oracle" in oracle["instruction"]
    assert named["input"] == oracle["input"]
    assert named["restored"] != oracle["restored"]


def test_known_parameters_are_shown(run: Run, tmp_path: Path, capsys: Any) -> None:
    write_pictures(tmp_path / "photos", ["a", "b"], (64, 64))
    arguments = ("eval", "--task", "live1", "--standin", "--severity", 0.9, "--data", "photos", "--json")
    assert run(*arguments, "named.json") == 0
    assert run(*arguments, "matched.json", "--instruction", "parameter-matched", "--save", "restored") == 0
    named, matched = (scores(Path(name)) for name in ("named.json", "matched.json"))
    assert "parameter-matched" in matched["instruction"]
    assert not matched["oracle"]
    assert named["input"] == matched["input"]
    assert named["restored"] != matched["restored"]
    assert "parameter-matched" in capsys.readouterr().out
    assert Path("restored/live1-standin-parameter-matched/a.png").is_file()


def test_unknown_parameters_cannot_be_shown(run: Run, gopro: Path, capsys: Any) -> None:
    arguments = ("--task", "gopro", "--data", gopro, "--json", "one.json")
    assert run("eval", *arguments, "--instruction", "parameter-matched") == 2
    error = capsys.readouterr().err
    assert all(word in error for word in ("gopro", "type-matched", "oracle")), error
    assert not Path("runs").exists()


def test_another_kind_of_instruction_goes_on_with_no_other_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "photos", ["a", "b"])
    restorations(monkeypatch, most=1)
    arguments = ("eval", "--task", "noise", "--data", "photos", "--json", "one.json")
    assert run(*arguments) == 2
    restored = restorations(monkeypatch)
    assert run(*arguments, "--instruction", "parameter-matched") == 0
    assert restored == ["a", "b"]
    assert run(*arguments) == 0
    assert restored == ["a", "b", "b"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample benchmarks beside the project")
@pytest.mark.parametrize("task", ["raindrop", "gopro", "rain100l", "sots_outdoor", "cdd11", "euvp"])
def test_samples_of_real_sets_evaluate(run: Run, task: str) -> None:
    arguments = ("eval", "--task", task, "--data", SAMPLES, "--subset", "--json", "one.json")
    assert run(*arguments) == 0
    found = scores(Path("one.json"))
    assert found["subset"]
    assert 5 < found["input"]["psnr"] < 45
