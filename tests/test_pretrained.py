"""Weights by name."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import defusion.pretrained
from defusion.pretrained import find, names
from defusion.weights import WeightsError


def test_a_folder_stands_for_itself(tmp_path: Path) -> None:
    assert find(tmp_path) == tmp_path
    assert find(str(tmp_path)) == tmp_path


def test_an_unknown_name_says_what_is_shipped() -> None:
    with pytest.raises(WeightsError, match=r"shipped models \(.*\), got 'huge'"):
        find("huge")


def test_a_folder_without_weights_does_not_hide_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    assert find("small") == find(Path(defusion.pretrained.__file__).parent / "small")
    (tmp_path / "small" / "config.json").write_text("{}")
    assert find("small") == Path("small")
    with pytest.raises(WeightsError, match="got ''"):
        find("")


@pytest.mark.slow
def test_a_wheel_holds_the_shipped_models(tmp_path: Path) -> None:
    source = tmp_path / "source"
    root = Path(__file__).resolve().parents[1]
    ignored = shutil.ignore_patterns(".*", "runs", "build", "tests", "__pycache__", "*.egg-info")
    shutil.copytree(root, source, ignore=ignored)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        files = set(packed.namelist())
    for name in names():
        parts = ("tokenizer/tokenizer.safetensors", "describer/describer.safetensors", "describer/config.json")
        for part in ("README.md", "config.json", "defusion.safetensors", *parts):
            assert f"defusion/pretrained/{name}/{part}" in files


def test_shipped_models_are_found_by_name() -> None:
    assert "small" in names()
    for name in names():
        assert (find(name) / "tokenizer" / "config.json").is_file()
