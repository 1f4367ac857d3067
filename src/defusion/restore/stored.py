"""Picture files as they came: samples, transparency, bits, colour profile and metadata, read and written again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from defusion.deep import decode_deep, is_deep, is_grey
from defusion.files import replacing
from defusion.imageio import GREY_16_BIT, ImageError, opened, to_srgb

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

FORMATS: Mapping[str, str] = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Suffix -> the format that is written; files of other names become PNG."""

QUALITY = 95
"""Of JPEG, WebP and AVIF files, of at most 100."""

_TRANSPARENT = ("PNG", "TIFF", "WEBP", "AVIF")
_DEEP = ("PNG", "TIFF")
_XMP = ("xmp", "XML:com.adobe.xmp")
_XMP_TAG = 700
_TURN = re.compile(rb'tiff:Orientation="[0-9]"|<tiff:Orientation>[0-9]</tiff:Orientation>')
_NO_TEXT = ("XML:", "xmp", "Raw profile")
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
"""Description, make, model, software, date, artist, copyright."""
_SOFTWARE = (305, 306)
"""Which tifffile has arguments of its own for."""
_MAX_DPI = 1e5


@dataclass(frozen=True)
class StoredPicture:
    """One picture of a file, upright.

    Attributes:
        samples: (H, W, 3), sRGB where a colour profile could be converted; 8 or 16 bits.
        alpha: transparency (H, W) of as many bits; None where there is none.
        grey: the file has no colours.
        profile: the ICC profile that the file keeps; None for none.
        converted: whether `samples` were converted from that profile, and have to be converted back.
        metadata: "exif" and "xmp" bytes, "dpi" (x, y), "text" of a PNG, "tags" of a TIFF: what there is.
    """

    samples: Samples
    alpha: Samples | None = None
    grey: bool = False
    profile: bytes | None = None
    converted: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_stored(path: Path | str) -> StoredPicture:
    """Reads a picture file with all that it holds beside its samples.

    Samples of 8 bits are converted to sRGB from an embedded colour profile. 16 bits are kept as they are, and so is
    their profile: their values count as sRGB. CMYK becomes RGB.

    Raises:
        ImageError: as `defusion.imageio.read_image`; also for several frames or pages.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(path, "no such file") from error
    except OSError as error:
        raise ImageError(path, f"cannot be read: {error.strerror}") from error
    with opened(BytesIO(data), path) as picture:
        _refuse_frames(path, picture)
        upright = ImageOps.exif_transpose(picture)  # decodes all of it, and finds what is damaged
        profile, metadata = picture.info.get("icc_profile"), _metadata(picture)
        if is_deep(data):
            deep = decode_deep(data, str(path))
            alpha = deep[..., 3] if deep.shape[2] == 4 else None
            return StoredPicture(np.ascontiguousarray(deep[..., :3]), alpha, is_grey(data), profile, False, metadata)
        if upright.mode in GREY_16_BIT:
            levels = np.asarray(upright).clip(0, 65535).astype(np.uint16)
            return StoredPicture(np.repeat(levels[..., None], 3, 2), None, True, profile, False, metadata)
        return _shallow(upright, profile, metadata)


def write_stored(path: Path | str, restored: Tensor, like: StoredPicture, quality: int = QUALITY) -> None:
    """Writes a picture as another one was stored, in the format that its name says; whole or not at all.

    Grey stays grey, and transparency, colour profile, resolution and metadata stay where the format has them; 16 bits
    where it is PNG or TIFF. What the file was turned by is turned already.

    Args:
        path: ends in one of `FORMATS`.
        restored: (3, H, W) in [0, 1].
        like: of the same height and width.
        quality: of JPEG, WebP and AVIF, 1 to 100.

    Raises:
        ValueError: for another suffix or size.
        OSError: when it cannot be written.
    """
    path = Path(path)
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"path: expected a name that ends in {' '.join(FORMATS)}, got {path}")
    deep = like.samples.dtype == np.uint16 and form in _DEEP
    samples = _levels(restored, deep)
    if samples.shape != like.samples.shape:
        raise ValueError(f"restored: expected the size of the picture {like.samples.shape}, got {samples.shape}")
    if like.converted and like.profile is not None:
        samples = _from_srgb(samples, like.profile)
    if like.grey:
        samples = samples.mean(2).round().astype(samples.dtype)[..., None]
    if like.alpha is not None and form in _TRANSPARENT:
        alpha = like.alpha if deep or like.alpha.dtype == np.uint8 else (like.alpha >> 8).astype(np.uint8)
        samples = np.concatenate([samples, alpha[..., None]], axis=2)
    with replacing(path) as partial:
        if deep:
            _write_deep(partial, form, samples, like)
        else:
            _write(partial, form, samples, like, quality)


def _levels(restored: Tensor, deep: bool) -> Samples:
    most = 65535 if deep else 255
    values = restored.detach().float().clamp(0, 1).mul(most).round().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(values.astype(np.uint16 if deep else np.uint8))


def _shallow(picture: Image.Image, profile: bytes | None, metadata: Mapping[str, Any]) -> StoredPicture:
    """A picture of 8 bits or less."""
    alpha, grey = None, picture.mode in ("1", "L", "LA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = np.array(picture.getchannel("A"))
    if picture.mode == "CMYK":  # which no file that is written has
        return StoredPicture(np.array(to_srgb(picture, profile).convert("RGB")), None, metadata=metadata)
    own = picture.convert("RGB")
    if grey or profile is None:
        return StoredPicture(np.array(own), alpha, grey, profile, False, metadata)
    srgb = to_srgb(own, profile)
    return StoredPicture(np.array(srgb), alpha, False, profile, srgb is not own, metadata)


def _refuse_frames(path: Path, picture: Image.Image) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a camera's, whose first picture is the photograph
        raise ImageError(path, f"expected one picture, got {frames} frames or pages; save each in a file of its own")


def _metadata(picture: Image.Image) -> dict[str, Any]:
    """What is kept of a decoded picture: not the turn, which is done, nor a thumbnail, which would be the old one."""
    found: dict[str, Any] = {}
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        found["tags"] = {tag: picture.tag_v2[tag] for tag in _TIFF_TAGS if tag in picture.tag_v2}
    else:
        exif = picture.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        if exif:
            found["exif"] = exif.tobytes()
    for value in (picture.info.get(key) for key in _XMP):
        if value:
            found["xmp"] = _TURN.sub(b"", value.encode() if isinstance(value, str) else bytes(value))
    dpi = picture.info.get("dpi")
    if dpi and all(0 < float(own) < _MAX_DPI for own in dpi):
        found["dpi"] = tuple(float(own) for own in dpi)
    if isinstance(picture, PngImagePlugin.PngImageFile):
        found["text"] = {key: str(value) for key, value in picture.text.items() if not key.startswith(_NO_TEXT)}
    return {key: value for key, value in found.items() if value}


def _write(file: Path, form: str, samples: Samples, like: StoredPicture, quality: int) -> None:
    """A file of 8 bits, by Pillow."""
    kept = like.metadata
    options: dict[str, Any] = {"icc_profile": like.profile, "dpi": kept.get("dpi")}
    if form == "TIFF":
        options |= {"compression": "tiff_deflate", "tiffinfo": dict(kept.get("tags", {}))}
    else:
        options |= {"exif": kept.get("exif")}
    if form == "PNG":
        options["pnginfo"] = _text(kept)
    elif "xmp" in kept and form == "TIFF":
        options["tiffinfo"][_XMP_TAG] = kept["xmp"]
    elif "xmp" in kept:
        options["xmp"] = kept["xmp"]
    if form in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = quality
    if form in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4"
    picture = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples, _mode(samples))
    if form == "WEBP":
        options["exact"] = True  # colours below transparency, too
    picture.save(file, format=form, **{key: value for key, value in options.items() if value is not None})


def _write_deep(file: Path, form: str, samples: Samples, like: StoredPicture) -> None:
    """A file of 16 bits."""
    kept = like.metadata
    if form == "TIFF":
        tags = [(tag, "s", 0, str(value), True) for tag, value in kept.get("tags", {}).items() if tag not in _SOFTWARE]
        if "xmp" in kept:
            tags.append((_XMP_TAG, "B", len(kept["xmp"]), kept["xmp"], True))
        tifffile.imwrite(
            file,
            samples[..., 0] if samples.shape[2] == 1 else samples,
            photometric="minisblack" if samples.shape[2] < 3 else "rgb",
            planarconfig=None if samples.shape[2] == 1 else "contig",
            extrasamples=["unassalpha"] if samples.shape[2] in (2, 4) else None,
            compression="deflate",
            iccprofile=like.profile,
            resolution=kept.get("dpi"),
            resolutionunit="INCH" if "dpi" in kept else None,
            extratags=tags,
            metadata=None,
        )
        return
    parts = {
        cv2.IMAGE_METADATA_EXIF: kept.get("exif", b"").removeprefix(b"Exif\0\0"),
        cv2.IMAGE_METADATA_XMP: kept.get("xmp"),
        cv2.IMAGE_METADATA_ICCP: like.profile,
    }
    there = {kind: np.frombuffer(value, np.uint8) for kind, value in parts.items() if value}
    if samples.shape[2] == 2:  # OpenCV writes no grey with transparency
        samples = samples[..., [0, 0, 0, 1]]
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]
    done, data = cv2.imencodeWithMetadata(".png", samples[..., order], list(there), list(there.values()))
    if not done:
        raise OSError(f"{file}: OpenCV could not encode it")
    file.write_bytes(data.tobytes())


def _mode(samples: Samples) -> str:
    return {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]


def _text(kept: Mapping[str, Any]) -> PngImagePlugin.PngInfo | None:
    """A PNG's words and its XMP."""
    if not kept.keys() & {"text", "xmp"}:
        return None
    found = PngImagePlugin.PngInfo()
    for key, value in kept.get("text", {}).items():
        found.add_itxt(key, value)
    if "xmp" in kept:
        found.add_itxt(_XMP[1], kept["xmp"].decode("utf-8", "replace"))
    return found


def _from_srgb(samples: Samples, profile: bytes) -> Samples:
    """Samples of 8 bits converted back to the profile they came in."""
    picture, back = Image.fromarray(samples), ImageCms.ImageCmsProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), back, outputMode="RGB")
    return samples if converted is None else np.array(converted)
