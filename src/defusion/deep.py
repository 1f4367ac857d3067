"""Pictures of 16 bits a sample in colour, which Pillow reads with 8."""

from io import BytesIO
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from defusion.imageio import ImageError

Deep: TypeAlias = NDArray[np.uint16]
"""One picture, uint16 (H, W, 3) or, with transparency, (H, W, 4); RGB order."""

_PNG_DEPTH, _PNG_COLOUR = 24, 25  # where a PNG's header has its bits a sample and its kind of colour
_PNG_GREY = (0, 4)
_TURNS = {
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (1, True),
    6: (3, False),
    7: (3, True),
    8: (1, False),
}
"""EXIF orientation -> quarter turns to the left, and whether columns are reversed before them."""


def is_deep(picture: Image.Image, head: bytes) -> bool:
    """Whether an open picture is a PNG or TIFF of 16-bit colour samples, with or without transparency.

    Args:
        picture: opened by Pillow.
        head: the first 26 bytes of its file, or more.
    """
    if picture.mode not in ("RGB", "RGBA"):  # grey with transparency, too, is RGBA to Pillow
        return False
    if picture.format == "PNG":
        return head[_PNG_DEPTH] == 16
    bits = picture.getexif().get(ExifTags.Base.BitsPerSample) if picture.format == "TIFF" else None
    return isinstance(bits, tuple) and set(bits) == {16}


def is_grey(head: bytes) -> bool:
    """Whether what `is_deep` has no colours: a PNG of grey and transparency."""
    return head[1:4] == b"PNG" and head[_PNG_COLOUR] in _PNG_GREY


def decode_deep(data: bytes, name: str) -> Deep:
    """Decodes what `is_deep`, turned upright as its EXIF orientation says.

    Raises:
        ImageError: when OpenCV cannot decode it.
    """
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] not in (3, 4):
        raise ImageError(name, "expected 16-bit RGB samples, which OpenCV cannot decode; save it as a plain PNG")
    order = [2, 1, 0, 3][: found.shape[2]]
    with Image.open(BytesIO(data)) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return turned(np.asarray(found[..., order], np.uint16), orientation)


def turned(picture: Deep, orientation: int) -> Deep:
    """An array (H, W, C) turned upright by an EXIF orientation; one that is not of 1 to 8 turns nothing."""
    quarters, mirrored = _TURNS.get(orientation, _TURNS[1])
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if mirrored else picture, quarters))
