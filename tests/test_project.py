"""The project's own files: one list of dependencies, and README commands that exist."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from defusion.cli.main import app

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
    """A dry run of every target names a program of the environment, and commands that there are."""
    dry = subprocess.run(
        ["make", "-n", "-o", ".venv/.done", target, "IN=a.png", "INSTRUCTION=rain", "SIZE=nano"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".venv/bin/" in dry.stdout or target == "setup"
    named = re.findall(r"\.venv/bin/defusion (\S+)", dry.stdout)
    known = {own.name or getattr(own.callback, "__name__", "") for own in app.registered_commands}
    assert set(named) <= known
    assert named or target in {"test", "test-all", "lint", "tensorboard"}


def test_files_that_travel_name_no_path_outside() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in listed.split():
        if name.endswith((".py", ".md", ".yaml", ".yml", ".toml", "Makefile")) and (ROOT / name).exists():
            assert "/work" + "/" not in (ROOT / name).read_text(), name


UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


def calls_and_imports(source: str) -> list[str]:
    """What of a file could run code that came with data: "line: what"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [module or ""] if isinstance(node, ast.ImportFrom) else [own.name for own in node.names]
            kept = {own.name for own in node.names} - {"UnpicklingError"}  # the error alone does nothing
            if kept and {name.split(".")[0] for name in names} & UNPICKLING:
                found.append(f"{node.lineno}: import {' '.join(names)}")
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            options = {own.arg: ast.unparse(own.value) for own in node.keywords}
            if call in {"torch.load", "super().load_checkpoint"} and options.get("weights_only") != "True":
                found.append(f"{node.lineno}: {call} without weights_only=True")
            if call in {"np.load", "numpy.load"} and options.get("allow_pickle", "False") != "False":
                found.append(f"{node.lineno}: {call} with allow_pickle")
            if call in {"eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system"} or options.get("shell") == "True":
                found.append(f"{node.lineno}: {call}")
            if options.get("trust_remote_code", "False") != "False":
                found.append(f"{node.lineno}: {call} with trust_remote_code")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "yaml.load(f)",
        "subprocess.run(c, shell=True)",
        "load_dataset(n, trust_remote_code=True)",
    ],
)
def test_what_runs_code_from_files_is_found(source: str) -> None:
    assert calls_and_imports(source)


def test_no_file_of_ours_runs_code_from_files() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "data_modules").rglob("*.py")]
    assert len(files) > 100
    assert {str(file): found for file in files if (found := calls_and_imports(file.read_text()))} == {}
