"""Which pictures are restored, and where each result goes: no two to one place."""

import glob
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from defusion.imageio import ImageError, find_images
from defusion.restore.stored import FORMATS

_WILD = "*?["


@dataclass(frozen=True)
class Place:
    """A picture and where its restoration goes.

    Attributes:
        source: the file.
        name: of the result below the output folder, "holiday/a.jpg".
    """

    source: Path
    name: str


def places(inputs: Sequence[str], out: Path, suffix: str | None = None, listed: Iterable[str] = ()) -> list[Place]:
    """The pictures of files, folders and patterns.

    A result keeps the name of its file, and below a folder the path in it. Where several would have one name, as many
    of the folders above are added as tell them apart, whatever their order. Files whose suffix is not written
    (`FORMATS`) get ".png" behind it.

    Args:
        inputs: files; folders, searched recursively; patterns such as "scans/**/*.tif"; "-" for `listed`.
        out: results of before are no inputs: what lies in this folder is left out, unless it is named as a file.
        suffix: of all results, ".png"; that of each file when not given.
        listed: lines of paths, as of standard input; empty ones are passed over.

    Raises:
        ImageError: nothing there, or no picture in it.
        ValueError: for a suffix that is not written.
    """
    if suffix is not None and suffix not in FORMATS:
        raise ValueError(f"--format: expected one of {' '.join(own[1:] for own in FORMATS)}, got {suffix[1:]!r}")
    found: dict[Path, Path] = {}  # file -> its path below the folder that was given
    for given in _named(inputs, listed):
        for file in find_images(given):
            whole = file.resolve()
            if given.is_dir() and _lies_in(whole, out) and not _lies_in(given.resolve(), out):
                continue
            found.setdefault(whole, file.relative_to(given) if given.is_dir() else Path(file.name))
    if not found:
        raise ImageError(", ".join(inputs), f"no pictures but those in {out}, where results go")
    return [Place(file, name) for file, name in zip(found, _distinct(found, suffix), strict=True)]


def _named(inputs: Sequence[str], listed: Iterable[str]) -> list[Path]:
    """The files and folders that are meant."""
    named: list[Path] = []
    for own in inputs:
        if own == "-":
            named += [Path(line.rstrip("\r\n")) for line in listed if line.strip()]
        elif Path(own).exists() or not any(sign in own for sign in _WILD):
            named.append(Path(own))
        else:
            fitting = sorted(glob.glob(own, recursive=True))
            if not fitting:
                raise ImageError(own, "no file fits this pattern")
            named += map(Path, fitting)
    if not named:
        raise ImageError("-", "no paths on standard input")
    return named


def _distinct(found: Mapping[Path, Path], suffix: str | None) -> list[str]:
    """A name for each file, all different: by its own suffix where another one is written, then by folders above."""
    names = {file: _written(below, suffix, keep=False) for file, below in found.items()}
    names |= {file: _written(found[file], suffix, keep=True) for file in _alike(names)}
    plain, depth = dict(names), 0
    while alike := _alike(names):
        depth += 1
        for file in alike:
            above = file.parts[1 : -len(found[file].parts)]
            if depth > len(above):
                raise ValueError(f"IN: {file} would be written where another one is; restore it by itself")
            names[file] = Path(*above[-depth:], plain[file])
    return [own.as_posix() for own in names.values()]


def _alike(names: Mapping[Path, Path]) -> list[Path]:
    """Files whose names are one, also where case does not count."""
    times = Counter(name.as_posix().casefold() for name in names.values())
    return [file for file, name in names.items() if times[name.as_posix().casefold()] > 1]


def _written(name: Path, suffix: str | None, keep: bool) -> Path:
    """The name of a result; with `keep` another suffix stands behind the file's own."""
    known = name.suffix.lower() in FORMATS
    if suffix is None or name.suffix == suffix:
        return name if known else name.with_name(f"{name.name}.png")
    return name.with_suffix(suffix) if known and not keep else name.with_name(name.name + suffix)


def _lies_in(file: Path, folder: Path) -> bool:
    return folder.resolve() in (file, *file.parents)
