"""Photographs from any image data set of `datasets`: local, hub, parquet, or streamed."""

import os
from collections.abc import Iterator
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

import torch

from data_modules.decoding import CACHE_BYTES, PictureStore
from data_modules.splits import HELD_OUT_ONE_IN, Split, hold_out, is_held_out
from data_modules.tables import bytes_of, image_columns, load_splits, undecoded
from defusion.imageio import ImageError, Picture, decode_image, decode_size
from defusion.random import generator

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
        table, is_whole = _choose_split(load_splits(name, streaming=False), split)
        self._name, self._min_size = name, min_size
        self._column = _image_column(name, table.features, column)
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
    """A window that slides over a streamed data set: photographs by position, without a download.

    The window holds the undecoded bytes of `window` pictures; `seek` moves it on, over the end of the
    stream to its beginning. Every process reads the whole stream, so that what a window holds does not
    depend on the number of workers; a run with many processes reads faster from a downloaded set.
    Unreadable and small pictures are passed over.

    Args:
        name, split, column, min_size: as for `HubPhotos`; without a validation split, the tenth held
            out is chosen by content.
        seed: of the order, new in each pass, in which the shards of the training split are read.
        window: number of pictures at hand, and a tenth of it for a validation split held out.

    Raises:
        ValueError: as for `HubPhotos`, and when the stream holds no usable picture.
    """

    def __init__(
        self,
        name: str,
        split: Split,
        column: str | None = None,
        min_size: int = 1,
        seed: int = 0,
        window: int = 256,
    ) -> None:
        stream, self._is_whole = _choose_split(load_splits(name, streaming=True), split)
        self._name, self._split, self._min_size = name, split, min_size
        self._column = _image_column(name, stream.features, column)
        self._stream = undecoded(stream.select_columns([self._column]), self._column)
        self._seed = seed
        self._reader: Iterator[list[bytes]] | None = None
        self._reader_process, self._num_read = 0, 0
        if split == "val" and not self._is_whole:
            window = max(1, window // HELD_OUT_ONE_IN)
        first = list(islice(self._one_pass(0), window))
        if not first:
            raise ValueError(f"data set {name!r}: no usable picture of {min_size} px or more for {split!r}")
        self._size = len(first)
        self._show(0, first)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> Picture:
        return self._store[position][0]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_reader": None}

    def seek(self, number: int) -> None:
        """Moves to window `number` of the endless stream; going back starts it over."""
        if number == self._number:
            return
        if self._reader is None or self._reader_process != os.getpid() or number < self._num_read:
            self._reader, self._reader_process, self._num_read = self._windows(), os.getpid(), 0
        for _ in range(self._num_read, number):
            next(self._reader)
        self._show(number, next(self._reader))
        self._num_read = number + 1

    def _show(self, number: int, window: list[bytes]) -> None:
        self._number, self._window = number, window
        self._store = PictureStore(self._decode, len(window))

    def _decode(self, position: int) -> tuple[Picture]:
        return (decode_image(self._window[position], f"{self._name}[{self._number}, {position}]"),)

    def _windows(self) -> Iterator[list[bytes]]:
        pictures = chain.from_iterable(self._one_pass(number) for number in count())
        while True:
            yield list(islice(pictures, self._size))

    def _one_pass(self, number: int) -> Iterator[bytes]:
        """The usable pictures of this split, once through the stream, shard by shard.

        Neither `shuffle` of the stream, which interleaves shards as its threads happen to run, nor its
        own iterator, which deals the shards out to the workers, gives every process the same order.
        """
        num_shards = self._stream.num_shards
        shards = torch.arange(num_shards)
        if self._split == "train":
            shards = torch.randperm(num_shards, generator=generator(self._seed, number))
        for shard in shards.tolist():
            yield from self._one_shard(self._stream.shard(num_shards, shard))

    def _one_shard(self, stream: "datasets.IterableDataset") -> Iterator[bytes]:
        for number, rows in enumerate(stream.iter(batch_size=1)):
            label = f"{self._name}[{number}]"
            try:
                data = bytes_of(rows[self._column][0], label)
                _check_size(data, self._min_size, label)
            except ImageError:
                continue
            if self._is_whole or is_held_out(data) == (self._split == "val"):
                yield data


def _choose_split(splits: dict[str, Any], split: Split) -> tuple[Any, bool]:
    """The table for a split, and whether all of it belongs there or only its held-out share."""
    train = "train" if "train" in splits else next(iter(splits))
    val = next((name for name in _VAL_NAMES if name in splits and name != train), None)
    return (splits[train], val is not None) if split == "train" or val is None else (splits[val], True)


def _image_column(name: str, features: "datasets.Features | None", column: str | None) -> str:
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
    height, width = decode_size(data, label)
    if min(height, width) < min_size:
        raise ImageError(label, f"expected at least {min_size} px a side, got {width} x {height}")
