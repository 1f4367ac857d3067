"""What a file holds beside its samples is still there when it has been restored."""

import os
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from defusion.imageio import ImageError, read_image
from defusion.restore.pictures import as_batch
from defusion.restore.stored import FORMATS, StoredPicture, read_stored, write_stored

RED, GREEN, BLUE = range(3)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:title="garden"/></x:xmpmeta>'
LOSSLESS = (".png", ".tif", ".bmp")


@pytest.fixture
def colours() -> np.ndarray:
    """Smooth, so that lossy formats keep it nearly."""
    y, x = np.mgrid[0:24, 0:36]
    return np.stack([x * 7, y * 10, 255 - x * 4], 2).astype(np.uint8)


def unchanged(file: Path, out: Path) -> Any:
    """Reads and writes again what came."""
    stored = read_stored(file)
    write_stored(out, as_batch(stored.samples)[0][0], stored)
    return stored


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_comes_back_as_it_was(suffix: str, mode: str, colours: np.ndarray, tmp_path: Path) -> None:
    picture = Image.fromarray(colours).convert(mode)
    picture.save(tmp_path / f"a{suffix}", format=FORMATS[suffix], quality=95)
    stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert stored.samples.shape == (24, 36, 3)
    with Image.open(tmp_path / f"b{suffix}") as again:
        assert again.format == FORMATS[suffix]
        if suffix not in (".webp", ".avif"):  # which have no grey
            assert again.mode == mode
        difference = np.abs(np.asarray(again.convert("RGB")).astype(int) - np.asarray(picture.convert("RGB")))
    assert difference.max() <= (0 if suffix in LOSSLESS else 24)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_stay(suffix: str, channels: int, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 12, channels), dtype=np.uint16)
    if suffix == ".tif":
        kind = {"photometric": "minisblack" if channels == 1 else "rgb"}
        tifffile.imwrite(tmp_path / "a.tif", deep[..., 0] if channels == 1 else deep, **kind)  # type: ignore[arg-type]
    else:
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
        cv2.imwrite(str(tmp_path / "a.png"), deep[..., order])
    stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert stored.samples.dtype == np.uint16
    assert stored.grey == (channels == 1)
    again = read_stored(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(again.samples, stored.samples)
    np.testing.assert_array_equal(again.samples[..., : min(channels, 3)], deep[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(again.alpha, deep[..., 3])


def test_grey_with_transparency_of_16_bits_stays(tmp_path: Path) -> None:
    """Which OpenCV reads as colour, and writes as such: equal channels."""
    levels = np.random.default_rng(0).integers(0, 2**16, (9, 12, 2), dtype=np.uint16)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    file = BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    for kind, data in (
        (b"IHDR", (12).to_bytes(4, "big") + (9).to_bytes(4, "big") + bytes([16, 4, 0, 0, 0])),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ):
        PngImagePlugin.putchunk(file, kind, data)
    (tmp_path / "a.png").write_bytes(file.getvalue())
    stored = unchanged(tmp_path / "a.png", tmp_path / "b.png")
    assert stored.grey
    again = read_stored(tmp_path / "b.png")
    np.testing.assert_array_equal(again.samples[..., 0], levels[..., 0])
    np.testing.assert_array_equal(again.alpha, levels[..., 1])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_transparency_stays_and_colours_below_it_are_not_whitened(
    suffix: str, colours: np.ndarray, tmp_path: Path
) -> None:
    alpha = np.linspace(0, 255, 24 * 36).reshape(24, 36).astype(np.uint8)
    picture = Image.fromarray(np.dstack([colours, alpha]))
    picture.save(tmp_path / f"a{suffix}", lossless=True, exact=True, quality=100)
    stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert stored.alpha is not None
    again = read_stored(tmp_path / f"b{suffix}")
    assert again.alpha is not None
    assert np.abs(again.alpha.astype(int) - alpha).max() <= 2
    if suffix in LOSSLESS:
        np.testing.assert_array_equal(again.samples, colours)


def test_jpeg_has_no_transparency_to_keep(colours: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(np.dstack([colours, colours[..., 0]])).save(tmp_path / "a.png")
    stored = read_stored(tmp_path / "a.png")
    stored = replace(stored, alpha=np.where(np.arange(36) < 18, 0, 255).astype(np.uint8) * np.ones((24, 1), np.uint8))
    write_stored(tmp_path / "b.jpg", as_batch(stored.samples)[0][0], stored)
    again = read_stored(tmp_path / "b.jpg")
    assert again.alpha is None
    assert again.samples[:, :16].min() > 235  # nothing hidden comes to light: it is put over white


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_are_turned_once(suffix: str, colours: np.ndarray, tmp_path: Path) -> None:
    """By EXIF; neither EXIF nor XMP of the result turns them again."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    extra: dict[str, Any] = {} if suffix in (".png", ".tif") else {"xmp": XMP}
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", exif=exif, quality=95, **extra)
    stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert stored.samples.shape == (36, 24, 3)
    with Image.open(tmp_path / f"b{suffix}") as again:
        assert again.size == (24, 36)
        assert again.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert b"tiff:Orientation" not in again.info.get("xmp", b"")
        assert bool(extra) == (b"garden" in again.info.get("xmp", b""))
    assert np.abs(read_image(tmp_path / f"b{suffix}").astype(int) - read_image(tmp_path / f"a{suffix}")).max() < 24


def test_deep_pictures_are_turned_too(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 12, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    data = np.frombuffer(exif.tobytes().removeprefix(b"Exif\0\0"), np.uint8)
    _, file = cv2.imencodeWithMetadata(".png", deep, [cv2.IMAGE_METADATA_EXIF], [data])
    (tmp_path / "a.png").write_bytes(file.tobytes())
    stored = unchanged(tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(stored.samples, np.rot90(deep[..., ::-1], 1))
    np.testing.assert_array_equal(read_stored(tmp_path / "b.png").samples, stored.samples)


def with_thumbnail(exif: bytes) -> bytes:
    """EXIF with a second directory that has one tag; Pillow 12.3 writes none."""
    marker, tiff = exif[:6], bytearray(exif[6:])
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    struct.pack_into(f"{order}I", tiff, first + 2 + 12 * count, len(tiff))
    compression = struct.pack(f"{order}HHIHH", ExifTags.Base.Compression, 3, 1, 6, 0)
    return marker + bytes(tiff) + struct.pack(f"{order}H", 1) + compression + bytes(4)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_stays_but_for_the_old_thumbnail(suffix: str, colours: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Box camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 12.0
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", exif=with_thumbnail(exif.tobytes()))
    with Image.open(tmp_path / f"a{suffix}") as before:
        assert before.getexif().get_ifd(ExifTags.IFD.IFD1)[ExifTags.Base.Compression] == 6
    unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as again:
        found = again.getexif()
        assert found[ExifTags.Base.Make] == "Box camera"
        assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == 0.5
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] == 12
        assert not found.get_ifd(ExifTags.IFD.IFD1)


def test_exif_goes_to_and_from_tiff(colours: np.ndarray, tmp_path: Path) -> None:
    """Also other letters than ASCII; without a resolution none is made up."""
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "© José".encode()
    exif[ExifTags.Base.Make] = "Box camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 12.0
    Image.fromarray(colours).save(tmp_path / "a.jpg", exif=exif)
    stored = read_stored(tmp_path / "a.jpg")
    write_stored(tmp_path / "b.tif", as_batch(stored.samples)[0][0], stored)
    unchanged(tmp_path / "b.tif", tmp_path / "c.tif")
    for name in ("b.tif", "c.tif"):
        with Image.open(tmp_path / name) as again:
            found = again.getexif()
            assert found[ExifTags.Base.Make] == "Box camera"
            assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] == 12
            assert 282 not in again.tag_v2  # type: ignore[attr-defined]
            assert "José".encode() in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_keep_words_and_resolution(suffix: str, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 12, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "© José".encode()
    kept = {
        "text": {"Title": "früh"},
        "dpi": (300.0, 150.0),
        "exif": exif.tobytes(),
        "xmp": b"<x:xmpmeta>garden</x:xmpmeta>",
    }
    stored = StoredPicture(deep, metadata=kept)
    write_stored(tmp_path / f"a{suffix}", as_batch(deep)[0][0], stored)
    found = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    again = read_stored(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(again.samples, deep)
    for own in (found, again):
        assert own.metadata["dpi"] == pytest.approx((300, 150), abs=0.1)
        assert "José".encode() in own.metadata["exif"]
        assert b"garden" in own.metadata["xmp"]
    if suffix == ".png":
        assert again.metadata["text"] == {"Title": "früh"}


def test_resolution_words_and_tags_stay(colours: np.ndarray, tmp_path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "garden")
    words.add_itxt("Comment", "früh")
    Image.fromarray(colours).save(tmp_path / "a.png", pnginfo=words, dpi=(300, 300))
    Image.fromarray(colours).save(tmp_path / "a.tif", tiffinfo={270: "garden", 315: "Ada"}, dpi=(300, 150))
    for suffix in (".png", ".tif"):
        unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / "b.png") as again:
        assert isinstance(again, PngImagePlugin.PngImageFile)
        assert again.text == {"Title": "garden", "Comment": "früh"}
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    with Image.open(tmp_path / "b.tif") as again:
        assert again.tag_v2[270] == "garden"  # type: ignore[attr-defined]
        assert again.tag_v2[315] == "Ada"  # type: ignore[attr-defined]
        assert again.info["dpi"] == pytest.approx((300, 150), abs=0.1)


def swapped_profile() -> bytes:
    """An ICC profile in which red and green have changed places: what is not converted shows at once."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = int.from_bytes(srgb[128:132], "big")
    table = bytearray(srgb)
    places = {bytes(srgb[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    table[red : red + 4], table[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(table).replace(b"sRGB", b"swap").replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_are_converted_and_their_profile_stays(suffix: str, colours: np.ndarray, tmp_path: Path) -> None:
    profile = swapped_profile()
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", icc_profile=profile)
    stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert stored.own is not None
    assert np.abs(stored.samples[..., [GREEN, RED, BLUE]].astype(int) - colours).max() <= 3
    with Image.open(tmp_path / f"b{suffix}") as again:
        assert again.info["icc_profile"] == profile
        assert np.abs(np.asarray(again).astype(int) - colours).max() <= 4


@pytest.mark.parametrize("bits", [8, 16])
def test_without_room_for_a_profile_colours_become_srgb(bits: int, colours: np.ndarray, tmp_path: Path) -> None:
    if bits == 8:
        Image.fromarray(colours).save(tmp_path / "a.png", icc_profile=swapped_profile())
    else:
        deep = colours.astype(np.uint16) * 257
        tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", iccprofile=swapped_profile())
    stored = read_stored(tmp_path / ("a.png" if bits == 8 else "a.tif"))
    write_stored(tmp_path / "a.bmp", as_batch(stored.samples)[0][0], stored)
    with Image.open(tmp_path / "a.bmp") as again:
        assert np.abs(np.asarray(again)[..., [GREEN, RED, BLUE]].astype(int) - colours).max() <= 4


@pytest.mark.parametrize("colour", [False, True])
def test_the_transparent_colour_of_16_bits_stays_transparent(colour: bool, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 2**16, (9, 12, 3), dtype=np.uint16)
    if not colour:
        levels = levels[..., :1]
    levels[2, 3] = 7
    plain = cv2.imencode(".png", levels)[1].tobytes()
    chunk = BytesIO()
    PngImagePlugin.putchunk(chunk, b"tRNS", b"\0\7" * levels.shape[2])
    (tmp_path / "a.png").write_bytes(plain[:33] + chunk.getvalue() + plain[33:])
    stored = read_stored(tmp_path / "a.png")
    write_stored(tmp_path / "b.png", as_batch(stored.samples)[0][0], stored)
    for alpha in (stored.alpha, read_stored(tmp_path / "b.png").alpha):
        assert alpha is not None
        assert alpha[2, 3] == 0
        assert np.count_nonzero(alpha == 65535) == alpha.size - 1


def test_metadata_too_long_for_the_format_is_left_out_and_named(colours: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    Image.fromarray(colours).save(tmp_path / "a.png", exif=exif)
    stored = read_stored(tmp_path / "a.png")
    restored = as_batch(stored.samples)[0][0]
    assert write_stored(tmp_path / "b.jpg", restored, stored) == ("exif",)
    assert write_stored(tmp_path / "b.webp", restored, stored) == ()
    with Image.open(tmp_path / "b.jpg") as again:
        assert not again.getexif()
    with Image.open(tmp_path / "b.webp") as again:
        assert len(again.getexif()[ExifTags.Base.ImageDescription]) == 70_000


def test_colours_beyond_srgb_stay_where_nothing_is_removed(colours: np.ndarray, tmp_path: Path) -> None:
    """Of a wide profile: as they were, exactly; and where something is removed they move with the others."""
    Image.fromarray(colours).save(tmp_path / "a.png", icc_profile=wide_profile())
    stored = unchanged(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as again:
        np.testing.assert_array_equal(np.asarray(again), colours)
    restored = (as_batch(stored.samples)[0][0] + 0.1).clamp(0, 1)
    write_stored(tmp_path / "c.png", restored, stored)
    with Image.open(tmp_path / "c.png") as brighter:
        moved = np.asarray(brighter).astype(int) - colours
    assert moved.mean() > 5


def wide_profile() -> bytes:
    """sRGB with its colorants moved far out: most of its colours are none of sRGB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table = bytearray(srgb.replace(b"sRGB", b"wide").replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be")))
    wide = {b"rXYZ": (0.6097, 0.3111, 0.0195), b"gXYZ": (0.2053, 0.6257, 0.0609), b"bXYZ": (0.1492, 0.0632, 0.7446)}
    for number in range(int.from_bytes(srgb[128:132], "big")):
        entry = 132 + 12 * number
        place = int.from_bytes(srgb[entry + 4 : entry + 8], "big")
        for axis, value in enumerate(wide.get(srgb[entry : entry + 4], ())):
            table[place + 8 + 4 * axis : place + 12 + 4 * axis] = round(value * 65536).to_bytes(4, "big")
    return bytes(table)


def test_colours_of_a_profile_without_a_way_back_become_srgb(
    colours: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of scanners: lookup tables from the device, none to it."""
    Image.fromarray(colours).save(tmp_path / "a.png", icc_profile=swapped_profile())
    convert = ImageCms.profileToProfile

    def one_way(picture: Any, source: Any, target: Any, **options: Any) -> Any:
        if "swap" in ImageCms.getProfileDescription(target):
            raise ImageCms.PyCMSError("cannot build transform")
        return convert(picture, source, target, **options)

    monkeypatch.setattr(ImageCms, "profileToProfile", one_way)
    stored = read_stored(tmp_path / "a.png")
    assert np.abs(stored.samples[..., [GREEN, RED, BLUE]].astype(int) - colours).max() <= 3
    write_stored(tmp_path / "b.png", torch.from_numpy(stored.samples).permute(2, 0, 1) / 255, stored)
    with Image.open(tmp_path / "b.png") as again:
        assert "icc_profile" not in again.info
        assert np.array_equal(np.asarray(again), stored.samples)


def test_16_bits_keep_their_profile_unconverted(tmp_path: Path) -> None:
    profile = swapped_profile()
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 12, 3), dtype=np.uint16)
    data = [np.frombuffer(profile, np.uint8)]
    _, file = cv2.imencodeWithMetadata(".png", deep[..., ::-1], [cv2.IMAGE_METADATA_ICCP], data)
    (tmp_path / "a.png").write_bytes(file.tobytes())
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", iccprofile=profile)
    for suffix in (".png", ".tif"):
        stored = unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(stored.samples, deep)
        again = read_stored(tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(again.samples, deep)
        assert again.profile == profile


def test_cmyk_becomes_rgb_without_its_profile(colours: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    unchanged(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as again:
        assert again.mode == "RGB"
        assert "icc_profile" not in again.info
        assert np.abs(np.asarray(again).astype(int) - colours).max() < 40


def test_palettes_become_colours(colours: np.ndarray, tmp_path: Path) -> None:
    palette = Image.fromarray(colours).quantize(16)
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "t.png", transparency=3)
    unchanged(tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), read_image(tmp_path / "a.png"))
    assert read_stored(tmp_path / "t.png").alpha is not None


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_several_frames_are_refused(suffix: str, colours: np.ndarray, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(colours, shift, 1)) for shift in (0, 7, 14)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="3 frames or pages; save each in a file of its own"):
        read_stored(tmp_path / f"a{suffix}")


def test_nothing_is_half_written(colours: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(colours).save(tmp_path / "a.png")
    stored = read_stored(tmp_path / "a.png")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_stored(tmp_path / "b.png", as_batch(colours)[0][0], stored)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_other_sizes_and_suffixes_are_refused(colours: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(colours).save(tmp_path / "a.png")
    stored = read_stored(tmp_path / "a.png")
    restored = as_batch(colours)[0][0]
    with pytest.raises(ValueError, match="a name that ends in"):
        write_stored(tmp_path / "b.gif", restored, stored)
    with pytest.raises(ValueError, match="size of the picture"):
        write_stored(tmp_path / "b.png", restored[:, 1:], stored)
