"""Tables of pictures that `datasets` reads, from the disk or the hub: their splits, columns and undecoded bytes."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defusion.imageio import ImageError

if TYPE_CHECKING:
    import datasets

_TABLES = {".parquet": "parquet", ".arrow": "arrow"}
_SAVED_MARKS = ("dataset_dict.json", "state.json")  # what `save_to_disk` writes
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def is_data_set(path: Path) -> bool:
    """Whether this is a parquet or arrow file, or a folder with some, or one of `save_to_disk`."""
    if path.is_dir():
        return any((path / mark).exists() for mark in _SAVED_MARKS) or any(path.rglob("*.parquet"))
    return path.is_file() and path.suffix.lower() in _TABLES


def is_hub_name(name: str) -> bool:
    """Whether this can be the name of a data set on the hub: "owner/name" or "name"."""
    return _HUB_NAME.fullmatch(name) is not None


def load_splits(name: str, streaming: bool) -> dict[str, Any]:
    """Its splits by name: a `Dataset` each, or an `IterableDataset` when streamed."""
    import datasets  # takes a second, and is not needed for photographs from a folder

    path = Path(name)
    if streaming and not (name and (path.exists() or is_hub_name(name))):
        raise ValueError(f"stream:{name}: not found; expected a parquet or arrow file, a folder of these, or a hub id")
    try:
        if any((path / mark).exists() for mark in _SAVED_MARKS):
            saved = datasets.load_from_disk(name)
            splits = saved if isinstance(saved, dict) else {"train": saved}
            return {split: table.to_iterable_dataset() if streaming else table for split, table in splits.items()}
        if path.suffix.lower() in _TABLES:
            builder = _TABLES[path.suffix.lower()]
            return dict(datasets.load_dataset(builder, data_files=name, streaming=streaming))
        return dict(datasets.load_dataset(name, streaming=streaming))
    except Exception as error:  # of the many that its readers and the network raise
        where = "" if path.exists() or not streaming else "no such folder or file, and not on the hub: "
        raise ValueError(f"data set {name!r}: cannot be loaded: {where}{error or type(error).__name__}") from error


def image_columns(features: "datasets.Features | None") -> list[str]:
    """The columns of an image type, or those that hold the bytes of files where there are none, in their order."""
    from datasets import Image

    columns = features or {}
    images = [key for key, kind in columns.items() if isinstance(kind, Image)]
    return images or [key for key, kind in columns.items() if isinstance(kind, dict) and "bytes" in kind]


def undecoded(table: Any, column: str) -> Any:
    """The table with its pictures left as the bytes of their files, for `decode_image`."""
    from datasets import Image

    is_image = table.features is not None and isinstance(table.features[column], Image)
    return table.cast_column(column, Image(decode=False)) if is_image else table


def bytes_of(value: Any, label: str) -> bytes:
    """The bytes of a picture's file, as `datasets` keeps it: in place, or by its path or address."""
    if isinstance(value, dict):
        if not value.get("bytes") and value.get("path"):
            import fsspec

            try:
                with fsspec.open(value["path"], "rb") as file:
                    return bytes(file.read())
            except OSError as error:
                raise ImageError(label, f"{value['path']} cannot be read: {error}") from error
        value = value.get("bytes")
    if not isinstance(value, bytes) or not value:
        raise ImageError(label, f"expected the bytes of a picture file, got {type(value).__name__}")
    return value
