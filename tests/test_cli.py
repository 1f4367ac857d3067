"""The command, in process: what it writes, and its errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from defusion import cli
from defusion.degradations.library import NAMES
from defusion.grounds.chart import Chart
from defusion.imageio import read_image, write_png
from defusion.instruction import VisualInstruction
from tests.conftest import TINY_TOKENIZER


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `defusion ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["defusion", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    draw = torch.Generator().manual_seed(0)
    for name, size in (("a", (40, 56)), ("b", (33, 47))):
        write_png(tmp_path / "photos" / f"{name}.png", torch.rand(3, *size, generator=draw))
    return tmp_path / "photos"


def test_ground_and_sheet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, "ground", "--out", tmp_path / "chart.png", "--size", 64) == 0
    assert read_image(tmp_path / "chart.png").shape == (64, 64, 3)
    assert run(monkeypatch, "ground", "--out", tmp_path / "pool.png", "--size", 32, "--sheet") == 0
    assert read_image(tmp_path / "pool.png").shape[0] > 5 * 32


def test_degrade_writes_pictures_instruction_and_parameters(
    monkeypatch: pytest.MonkeyPatch, photographs: Path, tmp_path: Path
) -> None:
    arguments = ("degrade", photographs / "a.png", "--with", "rain+noise", "--seed", 7)
    assert run(monkeypatch, *arguments, "--out", tmp_path / "one") == 0
    assert run(monkeypatch, *arguments, "--out", tmp_path / "two") == 0
    for name in ("lq.png", "ground.png", "instruction.png"):
        first, second = ((tmp_path / out / "a" / name).read_bytes() for out in ("one", "two"))
        assert first == second
    params = json.loads((tmp_path / "one" / "a" / "params.json").read_text())
    assert params["degradations"] == "rain+noise"
    assert 0 <= params["params"]["noise.severity"] <= 1
    charts = tmp_path / "one" / "a"
    shown = VisualInstruction.of_pictures(charts / "ground.png", charts / "instruction.png", 64)
    assert (shown.ground - Chart(64).canonical()).abs().max() < 1 / 255  # no grain is lost on the way to the model
    lq, hq = read_image(tmp_path / "one" / "a" / "lq.png"), read_image(photographs / "a.png")
    assert lq.shape == hq.shape
    assert np.abs(lq.astype(float) - hq).mean() > 1


def test_degrade_replaces_nothing_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], photographs: Path, tmp_path: Path
) -> None:
    for more in ((), ("--sheet",)):
        arguments = ("degrade", photographs / "a.png", "--out", tmp_path / "out", *more)
        assert run(monkeypatch, *arguments, "--with", "rain") == 0
        assert run(monkeypatch, *arguments, "--with", "haze") == 2
        assert "is there already; --overwrite replaces it" in capsys.readouterr().err
        assert json.loads((tmp_path / "out" / "a" / "params.json").read_text())["degradations"] == "rain"
    assert run(monkeypatch, *arguments[:4], "--with", "haze", "--overwrite") == 0
    assert json.loads((tmp_path / "out" / "a" / "params.json").read_text())["degradations"] == "haze"


def test_restore_keeps_sizes(monkeypatch: pytest.MonkeyPatch, photographs: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("restore", photographs, "--out", out, "--instruction", "rain+noise", "--weights", weights)
    assert run(monkeypatch, *arguments, "--steps", 2) == 0
    for name in ("a.png", "b.png"):
        assert read_image(out / name).shape == read_image(photographs / name).shape


def test_restore_by_pictures_of_a_chart(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photographs: Path,
    weights: Path,
    tmp_path: Path,
) -> None:
    """The degraded chart that `degrade` wrote shows what to remove; neither or both kinds are refused."""
    degrade = ("degrade", photographs / "a.png", "--with", "rain", "--weights", weights)
    assert run(monkeypatch, *degrade, "--out", tmp_path / "shown") == 0
    assert run(monkeypatch, "degrade", photographs / "a.png", "--out", tmp_path / "no", "--weights", "nowhere") == 2
    chart = [tmp_path / "shown" / "a" / name for name in ("ground.png", "instruction.png")]
    arguments = ["restore", photographs / "b.png", "--weights", weights, "--out"]
    for name, pictures in (("shown", chart), ("null", chart[:1] * 2)):
        assert run(monkeypatch, *arguments, tmp_path / name, "--chart", *pictures) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("--chart:") == said.count("both pictures are the same, which asks for nothing") == 1
    assert run(monkeypatch, *arguments, tmp_path / "swapped", "--chart", *reversed(chart)) == 0
    assert "the second picture is the clean chart: give CLEAN first" in " ".join(capsys.readouterr().out.split())
    restored, null = (read_image(tmp_path / name / "b.png") for name in ("shown", "null"))
    assert (restored != null).any()
    assert run(monkeypatch, *arguments, tmp_path / "none") == 2
    assert run(monkeypatch, *arguments, tmp_path / "none", "--chart", *chart, "--instruction", "rain") == 2
    error = capsys.readouterr().err
    assert "needs a describer" in error
    assert "show one thing" in error
    size = TINY_TOKENIZER.ground_size
    assert {read_image(path).shape for path in chart} == {(size, size, 3)}, "that of the model, to the pixel"
    for times in ((1, 1), (3, 3), (3, 1), (1, 3)):
        large = [tmp_path / f"{own}-{path.name}" for own, path in zip(times, chart, strict=True)]
        for own, path, file in zip(times, chart, large, strict=True):
            Image.open(path).resize((own * size, own * size)).save(file)
        assert run(monkeypatch, *arguments, tmp_path / f"by-{times}", "--chart", *large) == 0
        assert " ".join(capsys.readouterr().out.split()).count("that the model reads") == times.count(3)


def test_obedience_is_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photographs: Path,
    weights: Path,
    tmp_path: Path,
) -> None:
    arguments = ("obedience", "--data", photographs, "--weights", weights, "--size", 32, "--json")
    assert run(monkeypatch, *arguments, tmp_path / "one.json") == 0
    found = json.loads((tmp_path / "one.json").read_text())
    assert set(found["degradations"]) == set(NAMES)
    assert found["num_images"] == 2
    assert found["partial"]["num_cases"] == 60
    assert found["weights"]["path"] == str(weights)
    printed = capsys.readouterr().out
    assert "mismatched" in printed
    assert "of 60 composites" in printed
    assert run(monkeypatch, *arguments, tmp_path) == 2
    assert "--json: expected the name of a file" in capsys.readouterr().err


def test_names_that_collide_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], photographs: Path, tmp_path: Path
) -> None:
    Image.open(photographs / "a.png").save(photographs / "a.bmp")
    assert run(monkeypatch, "degrade", photographs, "--out", tmp_path / "out", "--with", "rain") == 2
    assert "several pictures would be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["eval", "--task", "snow", "--weights", "nowhere"], ["nowhere"]),
        (["restore", "nowhere.png", "--out", "x", "--instruction", "rain"], ["nowhere.png", "no such file"]),
        (["degrade", "{a}", "--with", "fog", "--out", "x"], ["unknown degradation 'fog'"]),
        (["degrade", "{a}", "--with", "blur", "--out", "x"], ["did you mean defocus_blur, motion_blur?"]),
        (["degrade", "{a}", "--with", "noise:25", "--severity", "0.3", "--out", "x"], ["severity: expected it in"]),
        (["ground", "--out", "x.png", "--size", "17"], ["even number of pixels"]),
        (["ground", "--out", "x.jpg"], ["--out: expected a name ending in .png"]),
        (["chart", "--print", "x.png"], ["--print: expected a name ending in .pdf"]),
        (["chart", "--read", "{a}"], ["a.png: expected the printed chart with its four corner marks"]),
        (["export", "--onnx", "x.txt"], ["--onnx: expected a name ending in .onnx"]),
        (["restore", "{a}", "--out", "x", "--instruction", "auto+rain"], ["expected 'auto' by itself"]),
        (["restore", "{a}", "--out", "x", "--instruction", "rain+clean"], ["expected 'clean' by itself"]),
        (
            ["restore", "{a}", "--out", "x", "--like", "{a}", "{b}"],
            ["--like: expected two pictures of one size", "56 x 40"],
        ),
    ],
)
def test_what_the_user_can_mend_is_one_message_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photographs: Path,
    arguments: list[str],
    messages: list[str],
) -> None:
    filled = [argument.format(a=photographs / "a.png", b=photographs / "b.png") for argument in arguments]
    assert run(monkeypatch, *filled) == 2
    error = capsys.readouterr().err
    assert all(message in error for message in messages), error
    assert "Traceback" not in error
