"""Pictures at the precision of their file: 8 bits a sample, or 16 where a colour PNG or TIFF has them."""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from defusion.deep import decode_deep, is_deep
from defusion.imageio import ImageError, decode_image, opened

Levels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""One picture, (H, W, 3), RGB order: uint8 in [0, 255] or uint16 in [0, 65535]."""

Sizes: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int]]
"""Height and width of a degraded picture, where there is one, and of its reference."""


def identity_of(paths: Iterable[Path]) -> str:
    """Changes when a file does: a digest of names and contents, the same for a copy in another place."""
    return hash_of(f"{path.name} {_digest(path)}" for path in paths)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def hash_of(words: Iterable[str]) -> str:
    """SHA-256 of words, in hexadecimal; file names need not be UTF-8."""
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def read_levels(path: Path) -> Levels:
    """Reads a picture file without a loss of precision.

    Returns:
        uint16 (H, W, 3) of a PNG or TIFF with 16-bit RGB samples, as they are stored, turned as its EXIF
        orientation says; else uint8 (H, W, 3) as `defusion.imageio.read_image` gives it.

    Raises:
        ImageError: as `read_image`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(path, f"cannot be read: {error}") from error
    return decode_levels(data, str(path))


def decode_levels(data: bytes, name: str) -> Levels:
    """As `read_levels`, from the bytes of a picture file; `name` is what an error calls it."""
    picture = decode_image(data, name)  # finds what is damaged; Pillow drops the lower 8 of 16 bits
    with opened(BytesIO(data), name) as header:
        if not is_deep(header, data):
            return picture
    deep = decode_deep(data, name)
    return deep if deep.shape == picture.shape else picture  # with transparency it is put over white
