"""Picture files as they came: samples, transparency, bits, colour profile and metadata, read and written again."""

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
_NO_PROFILE = ("BMP",)
_JPEG_MOST = 65_000
"""Bytes of a piece of metadata in a JPEG: 64 KiB with its header."""
_XMP = ("xmp", "XML:com.adobe.xmp")
_XMP_TAG = 700
_TURN = re.compile(rb'tiff:Orientation="[0-9]"|<tiff:Orientation>[0-9]</tiff:Orientation>')
_NO_TEXT = ("XML:", "xmp", "Raw profile")
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
"""Description, make, model, software, date, artist, copyright."""
_SOFTWARE = (305, 306)
"""Which tifffile has arguments of its own for."""
_MAX_DPI = 1e5
_X_RESOLUTION = 282
_PARTS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_NO_TAGS = (ExifTags.Base.Orientation, *_PARTS, ExifTags.IFD.IFD1)
_METRE = 0.0254  # of an inch
_PNG_HEADER = 33  # bytes of the signature and the first chunk


@dataclass(frozen=True)
class StoredPicture:
    """One picture of a file, upright.

    Attributes:
        samples: (H, W, 3), sRGB where a colour profile could be converted; 8 or 16 bits.
        alpha: transparency (H, W) of as many bits; None where there is none.
        grey: the file has no colours.
        profile: the ICC profile that the file keeps; None for none.
        own: the samples in that profile, where `samples` were converted from it; what sRGB cannot hold is kept in them.
        metadata: "exif" and "xmp" bytes, "dpi" (x, y), "text" of a PNG: what there is.
    """

    samples: Samples
    alpha: Samples | None = None
    grey: bool = False
    profile: bytes | None = None
    own: Samples | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_stored(path: Path | str) -> StoredPicture:
    """Reads a picture file with all that it holds beside its samples.

    Samples of 8 bits are converted to sRGB from an embedded colour profile. 16 bits are kept as they are, and so is
    their profile: their values count as sRGB. CMYK becomes RGB.

    Raises:
        ImageError: as `defusion.imageio.read_image`; also for several frames or pages.
    """
    path = Path(path)
    with opened(path, path) as picture:
        _refuse_frames(path, picture)
        upright = ImageOps.exif_transpose(picture)  # decodes all of it, and finds what is damaged
        profile, metadata = picture.info.get("icc_profile"), _metadata(picture)
        head = _head(path)
        if is_deep(picture, head):
            deep = decode_deep(path.read_bytes(), str(path))
            alpha = deep[..., 3] if deep.shape[2] == 4 else None
            colours = np.ascontiguousarray(deep[..., :3])
            return StoredPicture(colours, alpha, is_grey(head), profile, metadata=metadata)
        if upright.mode in GREY_16_BIT:
            levels = np.asarray(upright).clip(0, 65535).astype(np.uint16)
            clear = picture.info.get("transparency")  # one level of grey
            alpha = np.where(levels == clear, 0, 65535).astype(np.uint16) if clear is not None else None
            return StoredPicture(np.repeat(levels[..., None], 3, 2), alpha, True, profile, metadata=metadata)
        return _shallow(upright, profile, metadata)


def write_stored(path: Path | str, restored: Tensor, like: StoredPicture, quality: int = QUALITY) -> tuple[str, ...]:
    """Writes a picture as another one was stored, in the format that its name says; whole or not at all.

    Grey stays grey, and transparency, colour profile, resolution and metadata stay where the format has them; 16 bits
    where it is PNG or TIFF. What the file was turned by is turned already. Colours that sRGB cannot hold move by as
    much as those it can: nothing removed is nothing changed. Without transparency in the format the picture is put over
    white; without colour profiles it becomes sRGB.

    Args:
        path: ends in one of `FORMATS`.
        restored: (3, H, W) in [0, 1].
        like: of the same height and width.
        quality: of JPEG, WebP and AVIF, 1 to 100.

    Returns:
        What metadata the format has no room for, by name, as ("exif",).

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
    if form in _NO_PROFILE:
        if like.own is None and not like.grey:  # 16 bits that were not converted
            samples = np.asarray(to_srgb(Image.fromarray(samples), like.profile))
    elif like.own is not None and like.profile is not None:
        before, after = (_from_srgb(own, like.profile).astype(np.int16) for own in (like.samples, samples))
        samples = np.clip(like.own + (after - before), 0, 255).astype(np.uint8)
    if like.grey:
        samples = samples.mean(2).round().astype(samples.dtype)[..., None]
    if like.alpha is not None:
        samples = _with_alpha(samples, like.alpha, form in _TRANSPARENT)
    too_long = tuple(key for key in ("exif", "xmp") if form == "JPEG" and len(like.metadata.get(key, b"")) > _JPEG_MOST)
    like = replace(like, metadata={key: value for key, value in like.metadata.items() if key not in too_long})
    with replacing(path) as partial:
        if deep:
            _write_deep(partial, form, samples, like)
        else:
            _write(partial, form, samples, like, quality)
    return too_long


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _levels(restored: Tensor, deep: bool) -> Samples:
    most = 65535 if deep else 255
    values = restored.detach().float().clamp(0, 1).mul(most).round().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(values.astype(np.uint16 if deep else np.uint8))


def _with_alpha(samples: Samples, alpha: Samples, kept: bool) -> Samples:
    """Samples (H, W, C) with their transparency as the last channel, or put over white."""
    if alpha.dtype != samples.dtype:
        alpha = (alpha >> 8).astype(np.uint8)
    if kept:
        return np.concatenate([samples, alpha[..., None]], axis=2)
    most = np.iinfo(samples.dtype).max
    share = alpha[..., None].astype(np.float32) / most
    over = (samples * share + most * (1 - share)).round()
    return over.astype(np.uint8) if samples.dtype == np.uint8 else over.astype(np.uint16)


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
        return StoredPicture(np.array(own), alpha, grey, profile, metadata=metadata)
    srgb = to_srgb(own, profile)
    original = np.array(own) if srgb is not own else None
    if original is not None and not _has_way_back(profile):  # then it becomes sRGB
        original, profile = None, None
    return StoredPicture(np.array(srgb), alpha, False, profile, original, metadata)


def _refuse_frames(path: Path, picture: Image.Image) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a camera's, whose first picture is the photograph
        raise ImageError(path, f"expected one picture, got {frames} frames or pages; save each in a file of its own")


def _metadata(picture: Image.Image) -> dict[str, Any]:
    """What is kept of a decoded picture: not the turn, which is done, nor a thumbnail, which would be the old one."""
    found: dict[str, Any] = {}
    exif, source = Image.Exif(), picture.getexif()
    is_tiff = isinstance(picture, TiffImagePlugin.TiffImageFile)  # whose tags also say how its samples lie
    for tag in _TIFF_TAGS if is_tiff else tuple(source):
        if tag in source and tag not in _NO_TAGS:
            exif[tag] = _as_written(source[tag])
    for part in _PARTS:
        exif.get_ifd(part).update({tag: _as_written(value) for tag, value in source.get_ifd(part).items()})
    if exif or any(exif.get_ifd(part) for part in _PARTS):
        found["exif"] = exif.tobytes()
    for value in (picture.info.get(key) for key in _XMP):
        if value:
            found["xmp"] = _TURN.sub(b"", value.encode() if isinstance(value, str) else bytes(value))
    # Pillow makes up a resolution for TIFF and JPEG files without one.
    stated = picture.format not in ("TIFF", "JPEG", "MPO") or picture.info.get("jfif_unit") or _X_RESOLUTION in source
    dpi = picture.info.get("dpi") if stated else None
    if dpi and all(0 < float(own) < _MAX_DPI for own in dpi):
        found["dpi"] = tuple(float(own) for own in dpi)
    if isinstance(picture, PngImagePlugin.PngImageFile):
        found["text"] = {key: str(value) for key, value in picture.text.items() if not key.startswith(_NO_TEXT)}
    return {key: value for key, value in found.items() if value}


def _write(file: Path, form: str, samples: Samples, like: StoredPicture, quality: int) -> None:
    """A file of 8 bits, by Pillow."""
    kept = like.metadata
    options: dict[str, Any] = {"icc_profile": like.profile, "dpi": kept.get("dpi"), "exif": kept.get("exif")}
    if form == "PNG":
        options["pnginfo"] = _text(kept)
    elif form == "TIFF":
        tags = _tiff_tags(kept)
        # libtiff, which compresses, writes no parts and no bytes.
        hard = any(part in tags for part in _PARTS) or any(isinstance(own, bytes) for own in tags.values())
        options |= {"compression": None if hard else "tiff_deflate", "exif": tags}
    elif "xmp" in kept:
        options["xmp"] = kept["xmp"]
    if form in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = quality
    if form in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4"
    if form == "WEBP":
        options["exact"] = True  # colours below transparency, too
    picture = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples, _mode(samples))
    picture.save(file, format=form, **{key: value for key, value in options.items() if value is not None})


def _as_written(value: Any) -> Any:
    """Words beyond ASCII as their bytes, which Pillow reads as Latin-1 but would write as question marks."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _tiff_tags(kept: Mapping[str, Any]) -> Image.Exif:
    """The EXIF and XMP of a TIFF."""
    exif = Image.Exif()
    exif.load(kept.get("exif", b""))
    for tag, value in tuple(exif.items()):
        exif[tag] = _as_written(value)
    if "xmp" in kept:
        exif[_XMP_TAG] = kept["xmp"]
    return exif


def _write_deep(file: Path, form: str, samples: Samples, like: StoredPicture) -> None:
    """A file of 16 bits."""
    if form == "TIFF":
        _write_deep_tiff(file, samples, like)
        return
    if samples.shape[2] == 2:  # OpenCV writes no grey with transparency
        samples = samples[..., [0, 0, 0, 1]]
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]
    done, data = cv2.imencode(".png", samples[..., order])
    if not done:
        raise OSError(f"{file}: OpenCV could not encode it")
    plain = data.tobytes()
    file.write_bytes(plain[:_PNG_HEADER] + _chunks(like) + plain[_PNG_HEADER:])


def _chunks(like: StoredPicture) -> bytes:
    """What a PNG holds beside its samples, to stand behind its header."""
    kept, found = like.metadata, BytesIO()
    if like.profile is not None:
        PngImagePlugin.putchunk(found, b"iCCP", b"ICC Profile\0\0", zlib.compress(like.profile))
    if "dpi" in kept:
        x, y = (round(own / _METRE) for own in kept["dpi"])
        PngImagePlugin.putchunk(found, b"pHYs", struct.pack(">IIB", x, y, 1))
    if "exif" in kept:
        PngImagePlugin.putchunk(found, b"eXIf", kept["exif"].removeprefix(b"Exif\0\0"))
    text = _text(kept)
    for kind, data, *_ in text.chunks if text is not None else ():
        PngImagePlugin.putchunk(found, kind, data)
    return found.getvalue()


def _write_deep_tiff(file: Path, samples: Samples, like: StoredPicture) -> None:
    kept = like.metadata
    exif = _tiff_tags(kept)
    words = [tag for tag in _TIFF_TAGS if tag not in _SOFTWARE and isinstance(exif.get(tag), str | bytes)]
    tags: list[tuple[Any, ...]] = [(tag, "s", 0, exif[tag], True) for tag in words]
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


def _has_way_back(profile: bytes | None) -> bool:
    """Whether pictures can be converted to a profile; those of some scanners have the way from them alone."""
    try:
        return profile is not None and len(_from_srgb(np.zeros((1, 1, 3), np.uint8), profile)) == 1
    except ImageCms.PyCMSError:
        return False


def _from_srgb(samples: Samples, profile: bytes) -> Samples:
    """Samples of 8 bits converted back to the profile they came in."""
    picture, back = Image.fromarray(samples), ImageCms.ImageCmsProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), back, outputMode="RGB")
    return samples if converted is None else np.array(converted)
