"""Where clean photographs come from: bundled ones, a folder, or any image data set of `datasets`."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import skimage

from data_modules.decoding import CACHE_BYTES, PictureStore
from data_modules.hub import HubPhotos, StreamedPhotos
from data_modules.splits import Split, hold_out
from data_modules.tables import is_data_set, is_hub_name
from defusion.imageio import ImageError, Picture, find_images, image_size, read_image

__all__ = ["EmbeddedPhotos", "FolderPhotos", "HubPhotos", "PhotoSource", "StreamedPhotos", "open_photos"]

log = logging.getLogger(__name__)

STREAM_PREFIX = "stream:"
"""Before the name of a data set: read it as a stream, without downloading it."""

EMBEDDED: dict[Split, dict[str, str]] = {
    "train": {
        "astronaut.png": "NASA, public domain",
        "camera.png": "Lav Varshney, CC0; grey",
        "grass.png": "linolafett, CC0; grey",
        "gravel.png": "CC0Textures, CC0; grey",
        "ihc.png": "Center for Microscopy and Molecular Imaging, no known copyright restrictions",
        "motorcycle_left.png": "Middlebury 2014 stereo benchmark",
        "motorcycle_right.png": "Middlebury 2014 stereo benchmark",
        "rocket.jpg": "SpaceX, public domain",
    },
    "val": {
        "chelsea.png": "Stefan van der Walt, CC0",
        "coffee.png": "Rachel Michetti, CC0",
    },
}
"""The photographs in scikit-image's wheel that are used, and where they come from."""


class PhotoSource(Protocol):
    """Clean photographs by position: uint8 (H, W, 3), sRGB, of any size."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> Picture: ...


class EmbeddedPhotos:
    """The photographs in scikit-image's wheel, without a download; no frame is in both splits."""

    def __init__(self, split: Split) -> None:
        folder = Path(skimage.__file__).parent / "data"
        self._pictures = [read_image(folder / name) for name in EMBEDDED[split]]

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, position: int) -> Picture:
        return self._pictures[position]


class FolderPhotos:
    """The pictures in a folder and below it.

    Their headers are checked at once: unreadable and small ones are skipped with one summary line. One
    that turns out damaged when it is decoded is replaced by the next.

    Args:
        folder: searched recursively.
        min_size: least height and width, in pixels.
        split: "train" leaves out the fixed tenth of the pictures, chosen by file name, that "val"
            gives; None gives all.
        cache_bytes: budget for decoded pictures.

    Raises:
        ValueError: no picture found, or none of them usable.
    """

    def __init__(
        self,
        folder: str | Path,
        min_size: int = 1,
        split: Split | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        paths = _usable(Path(folder), min_size)
        if split is not None:
            paths = [paths[position] for position in hold_out([path.name for path in paths], split)]
        self.paths = paths
        self._store = PictureStore(self._decode, len(paths), cache_bytes)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Picture:
        return self._store[position][0]

    @property
    def num_broken(self) -> int:
        """Pictures replaced so far because they could not be decoded, in this process."""
        return self._store.num_broken

    def _decode(self, position: int) -> tuple[Picture]:
        return (read_image(self.paths[position]),)


def is_split(folder: Path) -> bool:
    """Whether a folder has its photographs in `train/` and `val/`, of which the latter are held out."""
    return (folder / "train").is_dir() and (folder / "val").is_dir()


def open_photos(data: str | None, split: Split, min_size: int = 1) -> PhotoSource:
    """Photographs from whatever `data` names.

    Args:
        data: None or "" for the embedded ones; a folder of pictures, with its own `train` and `val`
            below, or else with a fixed tenth held out; a parquet or arrow file, a folder of these or
            one saved by `datasets`; the id of an image data set on the Hugging Face hub; or "stream:"
            before one of the last two, for its held-out pictures without a download.
        split: "train" or "val".
        min_size: least height and width, in pixels; smaller pictures are left out.

    Raises:
        ValueError: nothing of that kind there, or no usable picture in it.
    """
    if not data:
        return EmbeddedPhotos(split)
    if data.startswith(STREAM_PREFIX):
        if split == "train":
            raise ValueError(f"data={data!r}: a stream has no pictures by position; see data_modules.streams")
        return StreamedPhotos(data.removeprefix(STREAM_PREFIX), min_size=min_size)
    path = Path(data)
    if is_data_set(path):
        return HubPhotos(data, split, min_size=min_size)
    if path.is_dir():
        if is_split(path):
            return FolderPhotos(path / split, min_size)
        return FolderPhotos(path, min_size, split)
    if path.exists() or not is_hub_name(data):
        raise ValueError(f"data={data!r}: {'is a file' if path.exists() else 'not found'}; {_ACCEPTED}")
    try:
        return HubPhotos(data, split, min_size=min_size)
    except ValueError as error:
        raise ValueError(f"data={data!r}: no such folder or file, and as a data set: {error}; {_ACCEPTED}") from error


_ACCEPTED = (
    "expected a folder of pictures, a parquet or arrow file, the id of an image data set on the "
    f"Hugging Face hub, one of these after {STREAM_PREFIX!r}, or nothing for the embedded photographs"
)


def _usable(folder: Path, min_size: int) -> list[Path]:
    """The pictures of a folder that have a sound header and the size; logs one line on the others."""
    if not folder.is_dir():
        raise ImageError(folder, "expected a folder of pictures; " + ("a file" if folder.exists() else "not found"))
    usable: list[Path] = []
    skipped: dict[str, list[str]] = defaultdict(list)
    found = find_images(folder)
    for path in found:
        try:
            if min(image_size(path)) >= min_size:
                usable.append(path)
            else:
                skipped[f"smaller than {min_size} px"].append(path.name)
        except ImageError:
            skipped["unreadable"].append(path.name)
    if skipped:
        counts = ", ".join(f"{len(names)} {reason} ({some_of(names)})" for reason, names in skipped.items())
        summary = f"skipped {len(found) - len(usable)} of {len(found)} pictures in {folder}: {counts}"
        if not usable:
            raise ImageError(folder, f"no usable picture; {summary}")
        log.warning(summary)
    return usable


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """The first names of a list, for a message."""
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
