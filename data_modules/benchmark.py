"""Test sets of pairs from whatever holds them, checked whole before anything is restored."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from data_modules.blocks import BlockPairs
from data_modules.levels import Levels, Sizes, identity_of, read_levels
from data_modules.pair_tables import StreamedPairs, TablePairs
from data_modules.photos import STREAM_PREFIX
from data_modules.tables import is_data_set, is_hub_name
from defusion.imageio import ImageError, image_size
from defusion.layouts import Faults, Layout, LayoutError, PairPaths, describe, find_root, pair_up
from defusion.patterns import ARRAYS

MIN_SIDE = 11
"""Smallest side of a picture that can be scored, in pixels: the window of SSIM."""


class PairSetError(ValueError):
    """A test set that is not there, or not as it should be; the message names all kinds of faults at once."""


class PairSet(Protocol):
    """The samples of a test set by position.

    Attributes:
        names: unique, in the natural order of the files or the order of the table.
        facts: what is known of each sample by name: "scene", "degradation".
        layout: how the pictures lie where they were found, one readable line.
        identity: another one when the pictures have changed.
    """

    names: Sequence[str]
    facts: Sequence[Mapping[str, str]]
    layout: str

    @property
    def identity(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> tuple[Levels | None, Levels]:
        """The degraded picture, None where it is made from the reference, and the reference; of one size.

        Raises:
            ImageError: a file turns out damaged behind its header.
        """
        ...

    def sizes(self, position: int, /) -> Sizes:
        """Height and width of the degraded picture, None where there is none, and of its reference."""
        ...


def open_benchmark(
    data: str | Path,
    layouts: Sequence[Layout],
    folders: Sequence[str] = (),
    *,
    count: int | None = None,
    subset: bool = False,
    crop_target: bool = False,
) -> PairSet:
    """A test set, after a check of pairing, number, headers and sizes.

    Args:
        data: the set's own folder in one of `layouts`, or a folder that holds it by one of the names in
            `folders`; a parquet or arrow file, a folder of these or one saved by `datasets`; the id of a data set
            on the Hugging Face hub; or "stream:" before one of the last two, which is then read twice.
        layouts: those accepted; the set has degraded pictures if any of them does.
        folders: the set's names.
        count: number of samples; None where none is fixed.
        subset: a part of the samples is meant.
        crop_target: references may be larger than the degraded pictures and are cropped to these in their middle.

    Raises:
        PairSetError: nothing of that kind there, or a wrong number, or samples without a partner, ambiguous,
            unreadable or of unequal sizes.
    """
    faults: Faults = {}
    try:
        place = str(find_root(Path(data), folders) if Path(data).is_dir() else data)
        source = _open(place, layouts, faults)
    except LayoutError as error:
        names = f"\nor a folder that holds it as {' or '.join(folders)}" if folders else ""
        raise PairSetError(f"{error}{names}") from error
    except ValueError as error:
        raise PairSetError(str(error)) from error
    check(place, source, faults, _wrong_count(len(source), count, subset), crop_target)
    return _Cropped(source) if crop_target else source


def check(place: str, source: PairSet, faults: Faults, wrong: str = "", crop_target: bool = False) -> None:
    """Refuses a test set with the faults found so far, of a wrong number, or with unfit pictures.

    Raises:
        PairSetError: names all kinds of faults at once.
    """
    _check_sizes(source, crop_target, faults)
    lines = [*([wrong] if wrong else []), *describe(faults)]
    if lines:
        raise PairSetError(
            f"{place}: nothing was restored, for the test set is not as it should be:\n  " + "\n  ".join(lines)
        )


class FilePairs:
    """Pairs of picture files.

    Args:
        pairs: their paths.
        layout: how they lie.

    Attributes:
        names: of the pairs.
        facts: what the names in braces of their layout stand for.
    """

    def __init__(self, pairs: Sequence[PairPaths], layout: str) -> None:
        self._pairs = list(pairs)
        self.layout = layout
        self.names: Sequence[str] = [pair.name for pair in pairs]
        self.facts: Sequence[Mapping[str, str]] = [pair.names for pair in pairs]

    @cached_property
    def identity(self) -> str:
        """Of the contents of all files, which are read whole when this is first asked for."""
        return identity_of(path for pair in self._pairs for path in (pair.input, pair.target) if path)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, position: int) -> tuple[Levels | None, Levels]:
        """The degraded picture and its reference; ImageError for a damaged one."""
        pair = self._pairs[position]
        return (None if pair.input is None else read_levels(pair.input)), read_levels(pair.target)

    def sizes(self, position: int) -> Sizes:
        """Height and width of both, from their headers; ImageError for a damaged one."""
        pair = self._pairs[position]
        return (None if pair.input is None else image_size(pair.input)), image_size(pair.target)


class _Cropped:
    """A test set whose references are cropped to the degraded pictures in their middle."""

    def __init__(self, source: PairSet) -> None:
        self._source = source
        self.names, self.facts = source.names, source.facts
        self.layout = f"{source.layout}, references cropped in their middle"

    @property
    def identity(self) -> str:
        """That of the whole pictures."""
        return self._source.identity

    def __len__(self) -> int:
        return len(self._source)

    def sizes(self, position: int) -> Sizes:
        degraded, target = self._source.sizes(position)
        return degraded, degraded or target

    def __getitem__(self, position: int) -> tuple[Levels | None, Levels]:
        degraded, target = self._source[position]
        if degraded is None:
            return None, target
        height, width = degraded.shape[:2]
        top, left = (target.shape[0] - height) // 2, (target.shape[1] - width) // 2
        return degraded, target[top : top + height, left : left + width]


def _open(data: str, layouts: Sequence[Layout], faults: Faults) -> PairSet:
    paired = any(layout.input is not None for layout in layouts)
    path = Path(data)
    if data.startswith(STREAM_PREFIX):
        return StreamedPairs(data.removeprefix(STREAM_PREFIX), paired)
    if path.is_dir():
        return _open_folder(path, layouts, paired, faults)
    if is_data_set(path):
        return TablePairs(data, paired)
    if path.exists() or not is_hub_name(data):
        raise PairSetError(f"data={data!r}: {'is a file' if path.exists() else 'not found'}; {_ACCEPTED}")
    try:
        return TablePairs(data, paired)
    except ValueError as error:
        raise PairSetError(f"data={data!r}: no such folder or file, and as a data set: {error}; {_ACCEPTED}") from error


_ACCEPTED = (
    "expected the folder of the test set or one that holds it, a parquet or arrow file, the id of a data set on "
    f"the Hugging Face hub, or one of the last two after {STREAM_PREFIX!r}"
)


def _open_folder(root: Path, layouts: Sequence[Layout], paired: bool, faults: Faults) -> PairSet:
    try:
        pairing = pair_up(root, layouts)
    except LayoutError:
        if is_data_set(root):
            return TablePairs(str(root), paired)
        raise
    faults.update(pairing.faults)
    if pairing.layout.target.endswith(ARRAYS):
        return BlockPairs(pairing.pairs[0].target, pairing.pairs[0].input)
    return FilePairs(pairing.pairs, str(pairing.layout))


def _check_sizes(source: PairSet, crop_target: bool, faults: Faults) -> None:
    for position, name in enumerate(source.names):
        try:
            degraded, target = source.sizes(position)
        except ImageError as error:
            faults.setdefault("unreadable", []).append(str(error))
            continue
        if min(*(degraded or target), *target) < MIN_SIDE:
            faults.setdefault(f"smaller than the {MIN_SIDE} px of SSIM's window", []).append(name)
        if degraded is None or degraded == target:
            continue
        if not crop_target or degraded[0] > target[0] or degraded[1] > target[1]:
            (height, width), (target_height, target_width) = degraded, target
            sizes = f"{name}: {width} x {height} against {target_width} x {target_height}"
            faults.setdefault("of another size than the reference", []).append(sizes)


def _wrong_count(found: int, expected: int | None, subset: bool) -> str:
    """What is wrong with the number of samples; nothing when it is right."""
    if found == 0:
        return "no sample found"
    if expected is None or found == expected or (subset and found < expected):
        return ""
    if found > expected:
        return f"{found} pictures found, expected {expected}: leave out those that are not of the test set"
    return f"{found} pictures found, expected {expected}: give all of them, or --subset to evaluate a part on purpose"
