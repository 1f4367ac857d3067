"""Pictures at the precision of their file: 8 bits a sample, or 16 where a colour PNG or TIFF has them."""

import hashlib
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from defusion.imageio import ImageError, decode_image

Levels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""One picture, (H, W, 3), RGB order: uint8 in [0, 255] or uint16 in [0, 65535]."""

Sizes: TypeAlias = tuple[tuple[int, int] | None, tuple[int, int]]
"""Height and width of a degraded picture, where there is one, and of its reference."""

_BITS_PER_SAMPLE = 258  # the TIFF tag


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
    if not _has_16_bits(data):
        return picture
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if deep is None or deep.dtype != np.uint16 or deep.shape != picture.shape:
        raise ImageError(name, "expected 16-bit RGB samples, which OpenCV cannot decode; save it as a plain PNG")
    return np.array(deep[..., ::-1], dtype=np.uint16, order="C")


def _has_16_bits(data: bytes) -> bool:
    """Whether this is a PNG or TIFF of 16-bit RGB samples, without transparency."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on large pictures
        with Image.open(BytesIO(data)) as picture:
            if picture.mode != "RGB":
                return False
            if picture.format == "PNG":
                return data[24] == 16  # bit depth, in the header that comes first
            return picture.format == "TIFF" and picture.getexif().get(_BITS_PER_SAMPLE) == (16, 16, 16)
