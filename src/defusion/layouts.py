"""Folder layouts of paired data sets as they unpack, and the pairs that they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from defusion.patterns import Matches, files_below, fitting, names_in, natural, sample_name

Faults: TypeAlias = dict[str, list[str]]
"""Kind of fault -> the files, in words."""


class LayoutError(ValueError):
    """A folder that does not hold a data set as one of its layouts has it."""


@dataclass(frozen=True)
class Layout:
    """Where the pictures of a data set lie below its folder, without suffix: "test/{scene}/blur/{name}".

    A name in braces stands for one or more characters other than "/" and takes as few as it can; a leading
    "**/" stands for any folders, or none. A pattern that ends in ".mat" is a file of MATLAB arrays. An input and
    a target belong together when the names that both patterns have are equal: "hazy/{name}_{A}_{beta}" goes with
    "gt/{name}", and many inputs may share one target. What the target's pattern fits is never an input.

    Attributes:
        target: pattern of the references.
        input: pattern of the degraded pictures; None where they are made from the references.
        only: values that the first name of the target's pattern may take; all when empty.
        listing: a text file, in the root or a folder of it, with two paths a line, reference and degraded
            picture, which are the test set; the paths start at the root or beside the file.
        spare: references without a degraded picture are passed over: those of the training set.
        by_order: where no name is on both sides, the pictures, equally many, belong together by their place in
            the order of the names.
    """

    target: str
    input: str | None = None
    only: tuple[str, ...] = ()
    listing: str | None = None
    spare: bool = False
    by_order: bool = False

    def __str__(self) -> str:
        """One readable line."""
        degraded = f" with {self.input}" if self.input else ""
        only = f", {self.only[0]} to {self.only[-1]} only" if self.only else ""
        return f"{self.target}{degraded}{only}" + (f", as listed in {self.listing}" if self.listing else "")


@dataclass(frozen=True)
class PairPaths:
    """One sample of a data set on the disk."""

    name: str
    """Unique in the data set, a relative path without suffix: "GOPR0384_11_00/000001"."""
    target: Path
    input: Path | None
    """None where it is made from the reference."""
    names: dict[str, str]
    """What the names in braces of the input's pattern (or the target's) stand for."""


@dataclass(frozen=True)
class Pairing:
    """What a layout finds.

    Attributes:
        layout: the one that fits.
        pairs: sorted by name in natural order, 2 before 10.
        faults: what is wrong with the other files; empty when nothing is.
    """

    layout: Layout
    pairs: list[PairPaths]
    faults: Faults


def find_root(data: Path, folders: Sequence[str]) -> Path:
    """The folder of a data set: the one in `data` that has one of its names, else `data` itself.

    Args:
        data: the data set's own folder, or one that holds it.
        folders: the names it goes by, in any case, "-", "_" and " " not told apart; the first that is there counts.

    Raises:
        LayoutError: `data` is no folder, or holds several of one name.
    """
    _require_folder(data)
    below = sorted(path for path in data.iterdir() if path.is_dir())
    for name in folders:
        found = [path for path in below if _plain(path.name) == _plain(name)]
        if len(found) > 1:
            raise LayoutError(f"{data}: holds {' and '.join(path.name for path in found)}; give the one that is meant")
        if found:
            return found[0]
    return data


def is_named(folder: Path, names: Sequence[str]) -> bool:
    """Whether a folder has one of a data set's names, told apart as `find_root` does."""
    return _plain(folder.resolve().name) in map(_plain, names)


def find_pairs(root: Path, layouts: Sequence[Layout]) -> tuple[Layout, list[PairPaths]]:
    """The pairs of a data set by the first of its layouts that fits, sorted by name in natural order.

    Raises:
        LayoutError: `root` is no folder, no layout fits, or pictures lack a partner or are ambiguous.
    """
    pairing = pair_up(root, layouts)
    if pairing.faults:
        raise LayoutError(f"{root}, read as {pairing.layout}: {'; '.join(describe(pairing.faults))}")
    return pairing.layout, pairing.pairs


def pair_up(root: Path, layouts: Sequence[Layout]) -> Pairing:
    """As `find_pairs`, with the faults beside the pairs. The tree is walked once.

    Raises:
        LayoutError: `root` is no folder, or no layout fits: finds a target and, where it has inputs, an input
            and its listing.
    """
    _require_folder(root)
    files = files_below(root)
    tried = []
    for layout in layouts:
        targets, inputs = _sides(layout, files)
        listing = _find_listing(layout, files)
        if targets and (inputs or layout.input is None) and (listing or layout.listing is None):
            return _pair(root, layout, targets, inputs, listing)
        degraded = f", {len(inputs)} degraded" if layout.input else ""
        lists = f", {'a' if listing else 'no'} list" if layout.listing else ""
        tried.append(f"  {layout}: {len(targets)} references{degraded}{lists}")
    raise LayoutError(
        f"{root}: expected one of these layouts (references with degraded pictures, without suffix), "
        f"found among {len(files)} files:\n" + "\n".join(tried)
    )


def describe(faults: Mapping[str, Sequence[str]], limit: int = 3) -> list[str]:
    """A line for each kind of fault, with the first files: "2 without a reference (a.png, b.png)"."""
    return [
        f"{len(files)} {kind} ({', '.join(files[:limit])}{', ...' if len(files) > limit else ''})"
        for kind, files in faults.items()
    ]


def _require_folder(path: Path) -> None:
    if not path.is_dir():
        raise LayoutError(f"{path}: expected a folder, {'found a file' if path.exists() else 'not found'}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def _sides(layout: Layout, files: Sequence[str]) -> tuple[Matches, Matches]:
    """The targets and the inputs among the files."""
    targets = fitting(layout.target, files)
    inputs = fitting(layout.input, [file for file in files if file not in targets]) if layout.input else {}
    if layout.only:
        first = names_in(layout.target)[0]
        targets = {file: names for file, names in targets.items() if names[first] in layout.only}
        inputs = {file: names for file, names in inputs.items() if names.get(first, layout.only[0]) in layout.only}
    return targets, inputs


def _find_listing(layout: Layout, files: Sequence[str]) -> str | None:
    found = [file for file in files if file.rpartition("/")[2] == layout.listing and file.count("/") <= 1]
    return min(found, key=lambda file: file.count("/"), default=None)


def _pair(root: Path, layout: Layout, targets: Matches, inputs: Matches, listing: str | None) -> Pairing:
    faults: Faults = {}
    couples: Sequence[tuple[str, str | None]]
    if layout.input is None:
        couples = [(target, None) for target in targets]
    elif listing is not None:
        couples = _by_listing(root, listing, targets, inputs, faults)
    else:
        couples = _by_names(layout, targets, inputs, faults)
    pattern = layout.input or layout.target
    files: dict[str, str] = {}
    pairs = []
    for target, degraded in couples:
        file = degraded or target
        name = sample_name(pattern, file)
        if name in files:
            faults.setdefault("pictures of one name", []).append(f"{files[name]} and {file}")
            continue
        files[name] = file
        names = targets[target] if degraded is None else inputs[degraded]
        pairs.append(PairPaths(name, root / target, root / degraded if degraded else None, names))
    return Pairing(layout, sorted(pairs, key=lambda pair: natural(pair.name)), faults)


def _by_names(layout: Layout, targets: Matches, inputs: Matches, faults: Faults) -> list[tuple[str, str]]:
    """(target, input) where the names in both patterns are equal."""
    shared = [name for name in names_in(layout.target) if name in names_in(layout.input or "")]

    def key(names: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(names[name] for name in shared)

    by_key: dict[tuple[str, ...], str] = {}
    for target, names in targets.items():
        if key(names) in by_key:
            faults.setdefault("references of one name", []).append(f"{by_key[key(names)]} and {target}")
        by_key.setdefault(key(names), target)
    if layout.by_order and not by_key.keys() & {key(names) for names in inputs.values()}:
        return _by_order(targets, inputs, faults)
    couples = [(by_key.get(key(names)), degraded) for degraded, names in inputs.items()]
    paired = {target for target, _ in couples}
    alone = {
        "degraded pictures without a reference": [degraded for target, degraded in couples if target is None],
        "references without a degraded picture": []
        if layout.spare
        else [target for target in by_key.values() if target not in paired],
    }
    faults.update({kind: sorted(files, key=natural) for kind, files in alone.items() if files})
    return [(target, degraded) for target, degraded in couples if target is not None]


def _by_order(targets: Matches, inputs: Matches, faults: Faults) -> list[tuple[str, str]]:
    if len(targets) != len(inputs):
        faults[f"degraded pictures against {len(targets)} references, which are paired by order"] = [*inputs]
        return []
    return list(zip(sorted(targets, key=natural), sorted(inputs, key=natural), strict=True))


def _by_listing(root: Path, listing: str, targets: Matches, inputs: Matches, faults: Faults) -> list[tuple[str, str]]:
    """(target, input) of each line of the listing."""
    beside = listing.rpartition("/")[0]

    def find(path: str, files: Matches) -> str | None:
        return next((file for file in (path, f"{beside}/{path}") if file in files), None)

    couples = []
    for number, line in enumerate((root / listing).read_text(encoding="utf-8").splitlines(), 1):
        paths = line.split()
        if len(paths) == 2:
            target, degraded = find(paths[0], targets), find(paths[1], inputs)
            missing = [path for path, found in zip(paths, (target, degraded), strict=True) if found is None]
            if target is not None and degraded is not None:
                couples.append((target, degraded))
            else:
                faults.setdefault(f"listed in {listing} but missing", []).extend(missing)
        elif paths:
            faults.setdefault("lines of the list without two paths", []).append(f"{listing}:{number}")
    return couples
