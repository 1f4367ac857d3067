"""The project's own files: one list of dependencies, and README commands that exist."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))


def test_environment_is_python_and_this_project() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python, pip, packages = environment["dependencies"]
    assert packages == {"pip": ["-e .[dev]"]}
    assert pip == "pip"
    version = tuple(map(int, python.removeprefix("python=").split(".")))
    low, high = re.findall(r"(\d+)\.(\d+)", project["requires-python"])
    assert tuple(map(int, low)) <= version < tuple(map(int, high))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200
    assert not re.findall(r"^[A-Z_]+_TABLE$", README, re.M)


def test_make_targets_of_the_readme_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named <= TARGETS
    assert {"demo", "test", "train-tokenizer", "train-diffusion", "eval", "restore", "tensorboard"} <= named


@pytest.mark.parametrize("target", sorted(TARGETS - {"help", "clean", "setup"}))
def test_make_targets_expand(target: str) -> None:
    """A dry run of every target names a program of the environment."""
    dry = subprocess.run(
        ["make", "-n", target, "IN=a.png", "INSTRUCTION=rain", "SIZE=nano"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".venv/bin/" in dry.stdout


def test_files_that_travel_name_no_path_outside() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in listed.split():
        if name.endswith((".py", ".md", ".yaml", ".yml", ".toml", "Makefile")) and (ROOT / name).exists():
            assert "/work" + "/" not in (ROOT / name).read_text(), name
