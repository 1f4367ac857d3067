"""Photographs from any image data set of `datasets`: local, hub, parquet, or streamed."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from data_modules.decoding import CACHE_BYTES, PictureStore
from data_modules.splits import HELD_OUT_ONE_IN, Split, hold_out, is_held_out
from data_modules.tables import bytes_of, image_columns, load_splits, undecoded
from defusion.imageio import ImageError, Picture, decode_image, decode_size

if TYPE_CHECKING:
    import datasets

_VAL_NAMES = ("validation", "val", "valid", "dev", "test")


class HubPhotos:
    """A data set of `datasets` as photographs, read by position.

    Its train and validation splits are used where it has both; otherwise a fixed tenth is held out of
    the one it has. A picture that is broken, or smaller than `min_size`, is replaced by the next one.

    Args:
        name: hub id, parquet or arrow file, or a folder that `datasets` can load.
        split: "train" or "val".
        column: of the pictures; by default the only one of an image type.
        min_size: least height and width, in pixels.
        cache_bytes: budget for decoded pictures.

    Raises:
        ValueError: the data set cannot be loaded, or has no such column, or several.
    """

    def __init__(
        self,
        name: str,
        split: Split,
        column: str | None = None,
        min_size: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        table, is_whole = choose_split(load_splits(name, streaming=False), split)
        self._name, self._min_size = name, min_size
        self._column = image_column(name, table.features, column)
        self._table = undecoded(table.select_columns([self._column]), self._column)
        rows = range(len(self._table))
        self._rows = list(rows) if is_whole else hold_out([str(row) for row in rows], split)
        if not self._rows:
            raise ValueError(f"data set {name!r}: its split for {split!r} is empty")
        self._store = PictureStore(self._decode, len(self._rows), cache_bytes)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> Picture:
        return self._store[position][0]

    def _decode(self, position: int) -> tuple[Picture]:
        row = self._rows[position]
        label = f"{self._name}[{row}]"
        data = bytes_of(self._table[row][self._column], label)
        _check_size(data, self._min_size, label)
        return (decode_image(data, label),)


class StreamedPhotos:
    """The first pictures of the held-out part of a streamed data set, by position, without a download.

    Unreadable and small pictures are passed over. (For training see `data_modules.streams`.)

    Args:
        name, column, min_size: as for `HubPhotos`; without a validation split, the tenth held out is chosen by content.
        count: of the pictures, whose undecoded bytes are kept.

    Raises:
        ValueError: as for `HubPhotos`, and when the stream holds no usable picture.
    """

    def __init__(self, name: str, column: str | None = None, min_size: int = 1, count: int = 256) -> None:
        stream, is_whole = choose_split(load_splits(name, streaming=True), "val")
        column = image_column(name, stream.features, column)
        rows = undecoded(stream.select_columns([column]), column)
        if not is_whole:
            count = max(1, count // HELD_OUT_ONE_IN)
        self._name = name
        self._bytes = list(islice(_held_out(rows, name, column, min_size, is_whole), count))
        if not self._bytes:
            held_out = "" if is_whole else f", for which one in {HELD_OUT_ONE_IN} is held out; give more pictures"
            raise ValueError(f"data set {name!r}: no usable picture of {min_size} px or more for 'val'{held_out}")
        self._store = PictureStore(self._decode, len(self._bytes))

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, position: int) -> Picture:
        return self._store[position][0]

    def _decode(self, position: int) -> tuple[Picture]:
        return (decode_image(self._bytes[position], f"{self._name}[{position}]"),)


def _held_out(
    rows: "datasets.IterableDataset", name: str, column: str, min_size: int, is_whole: bool
) -> Iterator[bytes]:
    for row in rows.iter(batch_size=1):
        data = usable(row[column][0], min_size, name)
        if data is not None and (is_whole or is_held_out(data)):
            yield data


def usable(cell: Any, min_size: int, name: str) -> bytes | None:
    """The bytes of a picture that is at least `min_size` px a side, else None."""
    try:
        data = bytes_of(cell, name)
        _check_size(data, min_size, name)
    except ImageError:
        return None
    return data


def choose_split(splits: dict[str, Any], split: Split) -> tuple[Any, bool]:
    """The table for a split, and whether all of it belongs there or only its held-out share."""
    train = "train" if "train" in splits else next(iter(splits))
    val = next((name for name in _VAL_NAMES if name in splits and name != train), None)
    return (splits[train], val is not None) if split == "train" or val is None else (splits[val], True)


def image_column(name: str, features: "datasets.Features | None", column: str | None) -> str:
    """The column given, checked, or the only one of an image type, or the one of these called "image"."""
    columns = features or {}
    if column is not None:
        if features is not None and column not in columns:
            raise ValueError(f"column: data set {name!r} has no {column!r} but {sorted(columns)}")
        return column
    images = image_columns(features)
    if len(images) == 1 or "image" in images:
        return "image" if "image" in images else images[0]
    found = f"several: {images}" if images else f"none among {sorted(columns)}"
    raise ValueError(f"data set {name!r}: expected one column of pictures, found {found}; name it by `column`")


def _check_size(data: bytes, min_size: int, label: str) -> None:
    """Raises ImageError for a picture smaller than `min_size` px."""
    height, width = decode_size(data, label)
    if min(height, width) < min_size:
        raise ImageError(label, f"expected at least {min_size} px a side, got {width} x {height}")
