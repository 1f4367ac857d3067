"""Path patterns with names in braces, "test/{scene}/blur/{name}", and the files of a folder that they fit."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from defusion.imageio import SUFFIXES

Matches: TypeAlias = dict[str, dict[str, str]]
"""File below the root -> what the names in braces of its pattern stand for."""

ARRAYS = ".mat"
"""The one suffix that a pattern may have itself: a file of MATLAB arrays, not a picture."""

_ANYWHERE = "**/"
_NAME = re.compile(r"\{(\w+)\}")
_SUFFIX = f"(?i:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)})"


def files_below(root: Path) -> list[str]:
    """Paths of the files below a folder, "/" between their parts, sorted.

    Links are followed, but not to a folder that the link itself lies in; hidden files and folders are passed over.
    """
    return sorted(_walk(str(root)))


def fitting(pattern: str, files: Sequence[str]) -> Matches:
    """The files that a pattern fits, in their order.

    A name in braces stands for one or more characters other than "/" and takes as few as it can; a leading "**/"
    for any folders, or none. The pattern has no suffix and takes any of a picture's, in any case, but for ".mat".
    """
    fits = _regex(pattern).fullmatch
    return {file: match.groupdict() for file in files if (match := fits(file))}


def names_in(pattern: str) -> list[str]:
    """The names in braces, in their order."""
    return _NAME.findall(pattern)


def sample_name(pattern: str, file: str) -> str:
    """The parts of a file's path that a name in braces varies, without suffix: "GOPR0384_11_00/000001"."""
    parts = pattern.removeprefix(_ANYWHERE).split("/")
    stem = file.rpartition(".")[0]
    varied = [own for part, own in zip(parts, stem.split("/")[-len(parts) :], strict=True) if "{" in part]
    return "/".join(varied) or stem


def natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts numbers by their value: "2" before "10"."""
    parts = re.split(r"(\d+)", name)  # text, number, text, ...
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _walk(root: str) -> Iterator[str]:
    pending: list[tuple[str, str, tuple[str, ...]]] = [(root, "", ())]
    while pending:
        folder, prefix, above = pending.pop()
        real = os.path.realpath(folder)
        if real in above:
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    pending.append((entry.path, f"{prefix}{entry.name}/", (*above, real)))
                elif entry.is_file():
                    yield prefix + entry.name


def _regex(pattern: str) -> re.Pattern[str]:
    parts = _NAME.split(pattern.removeprefix(_ANYWHERE))  # literal, name, literal, ..., literal
    body = "".join(f"(?P<{part}>[^/]+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    folders = "(?:.+/)?" if pattern.startswith(_ANYWHERE) else ""
    return re.compile(folders + body + ("" if pattern.endswith(ARRAYS) else _SUFFIX))
