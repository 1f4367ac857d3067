"""Every command of the README and the guides, run: trainings for one small step, the rest on small pictures."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Picture

from defusion import cli
from defusion.diffusion.model import Defusion
from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.grounds.chart import Chart
from defusion.grounds.printed import Sheet
from defusion.imageio import read_image
from defusion.tokenizer.network import Tokenizer, TokenizerConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [found for page in PAGES for found in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.S)]
# Blocks of a cluster are "bash" and not run here.
LINES = [line.partition("  #")[0].strip() for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
PYTHON = [block for kind, block in BLOCKS if kind == "python"]
ELSEWHERE = {
    "make demo",
    "make test",
    "make lint",
    "make test-all",
    "make tensorboard",
    "make bench",
    ".venv/bin/defusion app",
}
"""Minutes long, or they never end: what they expand to is tested in test_project.py, what they do in its own tests."""

ONE_SMALL_STEP = [
    *("--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu", "--trainer.precision", "32-true"),
    *("--data.init_args.workers", "0", "--data.init_args.batch_size", "2", "--data.init_args.crop_size", "64"),
    *("--data.init_args.validation_size", "64", "--data.init_args.validation_photos", "1"),
    *("--data.init_args.validation_tasks", "[haze]", "--data.init_args.synthesis.grounds", "2"),
]


@pytest.fixture
def home(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the README's commands name."""
    draw = np.random.default_rng(0)
    names = [f"{name}.jpg" for name in ("photo", "rain")] + [f"{name}.png" for name in ("before", "after")]
    names += [
        "scans/deep/a.tif",
        "GoPro/input/a.png",
        "GoPro/target/a.png",
        "shown/ground.png",
        "shown/instruction.png",
    ]
    names += [f"{folder}/{name}.png" for folder in ("photos", "holiday", "Kodak24") for name in "abc"]
    names += [f"{folder}/{side}/a.png" for folder in ("Rain100L", "benchmarks/GoPro") for side in ("input", "target")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(draw.integers(0, 256, (72, 80, 3), dtype=np.uint8)).save(tmp_path / name)
    Picture.fromarray(Sheet(Chart(64)).draw(64)).save(tmp_path / "sheet.jpg")
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    for size in ("nano", "small"):
        settings = yaml.safe_load((ROOT / f"experiments/tokenizer/{size}.yaml").read_text())
        config = TokenizerConfig(**settings["model"]["init_args"]["config"])
        Tokenizer(config).save(tmp_path / f"runs/tokenizer/{size}/weights")
    Defusion.load(weights).save(tmp_path / "runs/diffusion/nano/weights")
    monkeypatch.setitem(BENCHMARKS, "gopro", replace(BENCHMARKS["gopro"], count=1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(line: str) -> list[list[str]]:
    """The `defusion` commands that a line of the README runs."""
    if line.startswith("make"):
        expanded = subprocess.run(
            ["make", "--no-print-directory", "-C", str(ROOT), "-n", *shlex.split(line)[1:]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    else:
        expanded = [line]
    return [shlex.split(own)[1:] for own in expanded if own.startswith(".venv/bin/defusion")]


def test_the_readme_has_commands() -> None:
    assert len(LINES) > 12
    assert len(PYTHON) == 4


@pytest.mark.parametrize("line", dict.fromkeys(line for line in LINES if line and line not in ELSEWHERE))
@pytest.mark.filterwarnings("ignore:.*no last checkpoint available")  # a single small step leaves none
def test_a_command_runs(line: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = commands(line)
    assert run, f"{line}: runs no defusion command"
    for command in run:
        if command[0] == "train":
            command += ONE_SMALL_STEP
            if "experiments/tokenizer/small.yaml" in command:
                command += ["--model.init_args.perceptual", "null"]  # its network is a download
        monkeypatch.setattr(sys, "argv", ["defusion", *command])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 0


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_the_python_examples_run(number: int, home: Path) -> None:
    """And write what they save."""
    exec(PYTHON[number], {})
    written = re.findall(r'\.save\("(.+?)"', PYTHON[number])
    assert written
    for name in written:
        assert min(read_image(home / name).shape[:2]) >= 72
