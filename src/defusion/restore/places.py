"""Which pictures are restored, and where each result goes: no two to one place."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from defusion.imageio import SUFFIXES, ImageError, find_images
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


@dataclass(frozen=True)
class Found:
    """What was found: pictures in their order, and what was given but is not there, with the reason."""

    places: list[Place]
    missing: dict[str, str]


def find_places(
    inputs: Sequence[str],
    out: Path | None = None,
    suffix: str | None = None,
    listed: Iterable[str] = (),
    results: Set[Path] = frozenset(),
) -> Found:
    """The pictures of files, folders and patterns.

    A result keeps the name of its file, and below a folder the path in it. Where several would have one name, as many
    of the folders above are added as tell them apart, whatever their order. Files whose suffix is not written
    (`FORMATS`) get ".png" behind it. A file that is given twice, also by a link, is one.

    Args:
        inputs: files; folders, searched recursively; patterns such as "scans/**/*.tif"; "-" for `listed`.
        out: what lies in this folder, where results go, is left out, unless it is named as a file, or by this folder
            or one in it.
        suffix: of all results, ".png"; that of each file when not given.
        listed: lines of paths, as of standard input, also those of `find -print0`; empty ones are passed over.
        results: of before, wherever they lie: inputs if they are named as files alone.

    Raises:
        ImageError: without a single picture.
        ValueError: for a suffix that is not written.
    """
    if suffix is not None and suffix not in FORMATS:
        raise ValueError(f"--format: expected one of {' '.join(own[1:] for own in FORMATS)}, got {suffix[1:]!r}")
    found: dict[Path, Path] = {}  # file -> its path below the folder that was given
    missing: dict[str, str] = {}
    for given, literal in _named(inputs, listed, missing):
        try:
            files = find_images(given)
        except ImageError as error:
            missing[str(given)] = error.reason
            continue
        except OSError as error:  # a name that is too long, a folder that may not be entered
            missing[str(given)] = error.strerror or str(error)
            continue
        folder = given.is_dir()
        meant = literal and (not folder or (out is not None and _lies_in(given.resolve(), out)))
        for file in files:
            whole = file.resolve()
            if out is not None and not meant and _lies_in(whole, out):
                continue
            if whole in results and (folder or not literal):
                continue
            found.setdefault(whole, file.relative_to(given) if folder else Path(file.name))
    if not found:
        what = next(iter(missing.items()), (", ".join(inputs), f"no pictures but those in {out}, where results go"))
        raise ImageError(*what)
    names = _distinct(found, suffix)
    clash = "its result would have the name of another one's; restore it by itself"
    missing |= {str(file): clash for file, name in names.items() if name is None}
    return Found([Place(file, name) for file, name in names.items() if name is not None], missing)


def _named(inputs: Sequence[str], listed: Iterable[str], missing: dict[str, str]) -> list[tuple[Path, bool]]:
    """The files and folders that are meant, and whether each was named itself rather than by a pattern."""
    named: list[tuple[Path, bool]] = []
    for own in inputs:
        if own == "-":
            paths = (path.rstrip("\r\n") for line in listed for path in line.split("\0"))
            lines = [path for path in paths if path.strip()]
            if not lines:
                missing["-"] = "no paths on standard input"
            named += [(Path(line), True) for line in lines]
        elif os.path.exists(own) or not any(sign in own for sign in _WILD):
            named.append((Path(own), True))
        else:
            fitting = [Path(path) for path in sorted(glob.glob(own, recursive=True))]
            if not fitting:
                missing[own] = "no file fits this pattern"
            named += [(path, False) for path in fitting if path.suffix.lower() in SUFFIXES or path.is_dir()]
    return named


def _distinct(found: Mapping[Path, Path], suffix: str | None) -> dict[Path, str | None]:
    """A name for each file, all different: by its own suffix where another one is written, then by folders above.

    None where they do not tell it from one before it: IMG.jpg and img.jpg in one folder.
    """
    names = {file: _written(below, suffix, keep=False) for file, below in found.items()}
    names |= {file: _written(found[file], suffix, keep=True) for file in _alike(names)}
    first: dict[tuple[str, str], Path] = {}
    for file, name in names.items():
        first.setdefault((str(file.parent).casefold(), name.name.casefold()), file)
    names = {file: names[file] for file in first.values()}
    plain, depth = dict(names), 0
    while alike := _alike(names):
        depth += 1
        for file in alike:
            above = file.parts[1 : -len(found[file].parts)]
            names[file] = Path(*above[-depth:], plain[file])
    return {file: names[file].as_posix() if file in names else None for file in found}


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
