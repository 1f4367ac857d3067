"""Weights by name."""

from pathlib import Path

import pytest

from defusion.pretrained import find, names
from defusion.weights import WeightsError


def test_a_folder_stands_for_itself(tmp_path: Path) -> None:
    assert find(tmp_path) == tmp_path
    assert find(str(tmp_path)) == tmp_path


def test_an_unknown_name_says_what_is_shipped() -> None:
    with pytest.raises(WeightsError, match=r"shipped models \(.*\), got 'huge'"):
        find("huge")


def test_shipped_models_are_found_by_name() -> None:
    for name in names():
        assert (find(name) / "tokenizer" / "config.json").is_file()
