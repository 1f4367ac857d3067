"""Pairs of degraded and clean pictures from the data sets of `datasets`: two columns of one table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_modules.levels import Levels, Sizes, decode_levels, hash_of
from data_modules.tables import bytes_of, image_columns, load_splits, undecoded
from defusion.imageio import ImageError, decode_size

if TYPE_CHECKING:
    import datasets

INPUT_COLUMNS = ("input", "lq", "noisy", "blur", "blurry", "blurred", "hazy", "rainy", "snowy", "low", "degraded")
"""Names of the degraded pictures' column, in any case."""
TARGET_COLUMNS = ("target", "gt", "hq", "clean", "sharp", "clear", "high", "reference", "ground_truth")
"""Names of the references' column, in any case."""

_TEST_SPLITS = ("test", "validation", "val", "valid", "dev")


@dataclass(frozen=True)
class Columns:
    """The columns of a table of pairs: of pictures, and of the words that come with them."""

    target: str
    input: str | None
    facts: tuple[str, ...]

    def __str__(self) -> str:
        """One readable line."""
        return f"column {self.target}" + (f" with column {self.input}" if self.input else "")


class TablePairs:
    """A data set of `datasets` as pairs, read by position; its test split where it has one.

    Args:
        name: hub id, parquet or arrow file, or a folder that `datasets` can load.
        paired: whether it has degraded pictures; else its one column of pictures holds references.

    Attributes:
        names: the row numbers.
        facts: what its columns of words and labels say of each row.
        layout: its columns of pictures, in words.

    Raises:
        ValueError: the data set cannot be loaded, or its columns cannot be told apart.
    """

    def __init__(self, name: str, paired: bool) -> None:
        self._name = name
        self._table, self._columns = _open(name, paired, streaming=False)
        self.layout = str(self._columns)
        self.identity = str(self._table._fingerprint)
        self.names: Sequence[str] = [str(row) for row in range(len(self._table))]
        words = self._table.select_columns(list(self._columns.facts)) if self._columns.facts else [{}] * len(self)
        self.facts: Sequence[Mapping[str, str]] = [_in_words(row, self._table.features) for row in words]

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, position: int) -> tuple[Levels | None, Levels]:
        """The degraded picture and its reference; ImageError for a damaged one."""
        return _decode(self._table[position], self._columns, f"{self._name}[{position}]")

    def sizes(self, position: int) -> Sizes:
        """Height and width of the degraded picture and of its reference; ImageError for a damaged header."""
        return _sizes(self._table[position], self._columns, f"{self._name}[{position}]")


class StreamedPairs:
    """As `TablePairs`, without keeping the data: the stream is read twice.

    Once when opened, to the end, for the number, the words and the sizes alone; and once more as the pictures
    are asked for, in order. A position that lies back starts the stream over. Not for the workers of a loader,
    among which `datasets` deals out the shards of a stream.
    """

    def __init__(self, name: str, paired: bool) -> None:
        self._name = name
        self._stream, self._columns = _open(name, paired, streaming=True)
        self.layout = str(self._columns)
        self._checked: list[Sizes | ImageError] = []
        facts = []
        for number, row in enumerate(self._stream):
            try:
                self._checked.append(_sizes(row, self._columns, f"{name}[{number}]"))
            except ImageError as error:
                self._checked.append(error)
            facts.append(_in_words({key: row[key] for key in self._columns.facts}, self._stream.features))
        self.facts: Sequence[Mapping[str, str]] = facts
        self.names: Sequence[str] = [str(number) for number in range(len(self._checked))]
        self.identity = f"stream of {len(self)}: {hash_of(map(str, self._checked))}"
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._next = len(self)

    def __len__(self) -> int:
        return len(self._checked)

    def __getitem__(self, position: int) -> tuple[Levels | None, Levels]:
        """The degraded picture and its reference; ImageError for a damaged one."""
        if not 0 <= position < len(self):
            raise IndexError(f"position: expected 0 to {len(self) - 1}, got {position}")
        if position < self._next:
            self._rows, self._next = iter(self._stream), 0
        for _ in range(self._next, position):
            next(self._rows)
        row = next(self._rows)
        self._next = position + 1
        return _decode(row, self._columns, f"{self._name}[{position}]")

    def sizes(self, position: int) -> Sizes:
        """As `TablePairs.sizes`, from what was read when opened."""
        sizes = self._checked[position]
        if isinstance(sizes, ImageError):
            raise sizes
        return sizes


def find_columns(name: str, features: "datasets.Features | None", paired: bool) -> Columns:
    """The columns of pairs, or of references alone, by their names or else by their order.

    Raises:
        ValueError: there are not two columns of pictures (or one), nor are they named.
    """
    from datasets import ClassLabel, Value

    images = image_columns(features)
    targets = [column for column in images if column.lower() in TARGET_COLUMNS]
    inputs = [column for column in images if column.lower() in INPUT_COLUMNS]
    if not paired:
        targets, inputs = (targets or images), [""]
    elif len(images) == 2 and not (targets and inputs) and len(targets) < 2 and len(inputs) < 2:
        first, second = images
        inputs, targets = ([second], [first]) if second in inputs or first in targets else ([first], [second])
    if len(targets) != 1 or len(inputs) != 1:
        wanted = f"of references, named {_any_of(TARGET_COLUMNS)}"
        wanted = f"of degraded pictures, named {_any_of(INPUT_COLUMNS)}, and one {wanted}" if paired else wanted
        raise ValueError(
            f"data set {name!r}: expected one column {wanted}; found columns of pictures {images} among "
            f"{sorted(features or {})}; rename them"
        )
    words = [
        key
        for key, kind in (features or {}).items()
        if isinstance(kind, ClassLabel) or (isinstance(kind, Value) and kind.dtype in ("string", "large_string"))
    ]
    return Columns(targets[0], inputs[0] or None, tuple(words))


def _any_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:4])}, ..."


def _open(name: str, paired: bool, streaming: bool) -> tuple[Any, Columns]:
    splits = load_splits(name, streaming)
    table = splits[next((split for split in _TEST_SPLITS if split in splits), next(iter(splits)))]
    columns = find_columns(name, table.features, paired)
    pictures = [columns.target, *([columns.input] if columns.input else [])]
    table = table.select_columns([*pictures, *columns.facts])
    for column in pictures:
        table = undecoded(table, column)
    return table, columns


def _in_words(row: dict[str, Any], features: "datasets.Features") -> dict[str, str]:
    """The row with its labels by their names; what is missing is left out."""
    from datasets import ClassLabel

    kinds = {key: features[key] for key in row}
    return {
        key: kinds[key].int2str(value) if isinstance(kinds[key], ClassLabel) else str(value)
        for key, value in row.items()
        if value is not None
    }


def _files(row: dict[str, Any], columns: Columns, label: str) -> tuple[bytes | None, bytes]:
    degraded = None if columns.input is None else bytes_of(row[columns.input], f"{label}.{columns.input}")
    return degraded, bytes_of(row[columns.target], f"{label}.{columns.target}")


def _sizes(row: dict[str, Any], columns: Columns, label: str) -> Sizes:
    degraded, target = _files(row, columns, label)
    size = None if degraded is None else decode_size(degraded, f"{label}.{columns.input}")
    return size, decode_size(target, f"{label}.{columns.target}")


def _decode(row: dict[str, Any], columns: Columns, label: str) -> tuple[Levels | None, Levels]:
    degraded, target = _files(row, columns, label)
    picture = None if degraded is None else decode_levels(degraded, f"{label}.{columns.input}")
    return picture, decode_levels(target, f"{label}.{columns.target}")
