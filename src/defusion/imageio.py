"""Pictures from and to files: whatever a file holds becomes 8-bit sRGB, or a clear error."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from defusion.files import replacing

Picture: TypeAlias = NDArray[np.uint8]
"""One picture, uint8 (H, W, 3), sRGB, RGB order."""

SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
"""The file names taken for pictures in a folder, in any case."""

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height
GREY_16_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_READABLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", *GREY_16_BIT)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class ImageError(ValueError):
    """A file that is not a usable picture.

    Attributes:
        path: the file, or a name for where the picture comes from.
        reason: what is wrong with it.
    """

    def __init__(self, path: object, reason: str = "") -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.reason else str(self.path)


def read_image(path: str | Path) -> Picture:
    """Reads a picture file as 8-bit sRGB.

    The EXIF orientation is applied; grey, palette and CMYK become RGB, an embedded colour profile is
    converted to sRGB, transparency is composited over white, 16-bit values are scaled to 8 bits, and
    of several frames the first is taken.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ImageError: the file is missing, empty, truncated, no picture, of floating-point samples, or
            larger than Pillow's limit against decompression bombs (2 * `PIL.Image.MAX_IMAGE_PIXELS`).
    """
    return _read(Path(path), path)


def decode_image(data: bytes, name: str) -> Picture:
    """As `read_image`, from the bytes of a picture file; `name` is what an error calls it."""
    return _read(BytesIO(data), name)


def as_picture(picture: Image.Image, name: str = "picture") -> Picture:
    """An open picture as `read_image` gives it.

    Raises:
        ImageError: as `read_image`; `name` is what an error calls it.
    """
    with _errors(name):
        _check_mode(picture, name)
        return _to_srgb(ImageOps.exif_transpose(picture))


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture file as `read_image` gives it, from its header alone.

    Raises:
        ImageError: as `read_image`, as far as the header tells.
    """
    return _size(Path(path), path)


def decode_size(data: bytes, name: str) -> tuple[int, int]:
    """As `image_size`, from the bytes of a picture file."""
    return _size(BytesIO(data), name)


def to_tensor(picture: Picture) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float().div_(255)


def eight_bit(image: Tensor) -> Tensor:
    """Float of any shape, as a file of 8 bits holds it: clamped to [0, 1], at the nearest multiple of 1/255."""
    return image.clamp(0, 1).mul(255).round().div(255)


def to_uint8(image: Tensor) -> Picture:
    """Float (3, H, W), clamped to [0, 1], to uint8 (H, W, 3), rounded to the nearest level."""
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(f"image: expected a float tensor (3, H, W), got {image.dtype} of shape {tuple(image.shape)}")
    levels = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def write_png(path: str | Path, image: Tensor | Picture) -> None:
    """Writes a PNG, whole or not at all: under a temporary name in the same folder, then renamed.

    Args:
        path: ends in ".png"; missing folders are made.
        image: float tensor (3, H, W) in [0, 1], or uint8 array (H, W, 3).
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path: expected a name ending in .png, got {path}")
    picture = to_uint8(image) if isinstance(image, Tensor) else image
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {picture.dtype} of shape {picture.shape}")
    with replacing(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG")


def find_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The pictures among files and folders.

    Args:
        paths: files, taken as they are, and folders, searched recursively for the known suffixes in
            any case; hidden files and folders are passed over.

    Returns:
        Each file once, in the order of `paths`, those of a folder sorted.

    Raises:
        ImageError: a path does not exist, or a folder holds no picture.
    """
    found: dict[Path, None] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        found.update(dict.fromkeys(_search(Path(path))))
    if not found:
        raise ImageError("no pictures", "expected at least one file or folder")
    return list(found)


def _search(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ImageError(path, "no such file or folder")
    pictures = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    )
    if not pictures:
        raise ImageError(path, f"no pictures found; looked in it and below for {' '.join(SUFFIXES)}")
    return pictures


@contextmanager
def opened(source: Path | BytesIO, name: object) -> Iterator[Image.Image]:
    """An open picture of a mode we can convert; whatever its decoder raises becomes an ImageError of that name."""
    with _errors(name), Image.open(source) as picture:
        _check_mode(picture, name)
        yield picture


@contextmanager
def _errors(name: object) -> Iterator[None]:
    """Decoders of damaged files raise nearly anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata and large pictures
            yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(name, "no such file") from error
    except UnidentifiedImageError as error:
        raise ImageError(name, "empty, or not a picture in a known format") from error
    except Exception as error:
        raise ImageError(name, str(error) or type(error).__name__) from error


def _check_mode(picture: Image.Image, name: object) -> None:
    if picture.mode not in _READABLE:
        raise ImageError(name, f"expected 8- or 16-bit samples, got Pillow mode {picture.mode}")


def _read(source: Path | BytesIO, name: object) -> Picture:
    with opened(source, name) as picture:
        return _to_srgb(ImageOps.exif_transpose(picture))


def _size(source: Path | BytesIO, name: object) -> tuple[int, int]:
    with opened(source, name) as picture:
        width, height = picture.size
        return (width, height) if _orientation(picture) in _SIDEWAYS else (height, width)


def _orientation(picture: Image.Image) -> int | None:
    if picture.format == "PNG" and "exif" not in picture.info:
        return None  # Pillow would decode all of the picture to look for the tag behind it
    orientation: int | None = picture.getexif().get(_EXIF_ORIENTATION)
    return orientation


def _to_srgb(picture: Image.Image) -> Picture:
    if picture.mode in GREY_16_BIT:
        grey = np.rint(np.asarray(picture).clip(0, 65535) / 257.0).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    profile = picture.info.get("icc_profile")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    elif picture.mode not in ("RGB", "CMYK"):
        picture = picture.convert("RGB")
    return np.array(to_srgb(picture, profile).convert("RGB"))


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Converted to sRGB from a profile; itself without one, or by a damaged one, one for another mode, or sRGB."""
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture
        return ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB") or picture
    except (ImageCms.PyCMSError, OSError):
        return picture
