"""Every kind of picture becomes 8-bit sRGB; every kind of bad file becomes an ImageError."""

import pickle
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from defusion.imageio import (
    ImageError,
    Picture,
    decode_image,
    find_images,
    image_size,
    read_image,
    to_tensor,
    to_uint8,
    write_png,
)


@pytest.fixture
def colours() -> Picture:
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_png_round_trip_is_exact_from_uint8_and_from_a_tensor(tmp_path: Path, colours: Picture) -> None:
    write_png(tmp_path / "new" / "array.png", colours)
    write_png(tmp_path / "tensor.png", to_tensor(colours))
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "array.png"), colours)
    np.testing.assert_array_equal(read_image(tmp_path / "tensor.png"), colours)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "tensor.png"]


def test_to_tensor_gives_unit_range_channels_first(colours: Picture) -> None:
    image = to_tensor(colours)
    assert image.shape == (3, 12, 20)
    assert image.dtype == torch.float32
    assert image[1, 3, 5] == colours[3, 5, 1] / np.float32(255)


def test_to_uint8_rounds_and_clamps() -> None:
    levels = torch.tensor([-0.2, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.3])
    expected = [0, 0, 1, 254, 255]
    assert to_uint8(levels.expand(3, 1, 5))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("image", [torch.zeros(1, 3, 4, 4), torch.zeros(4, 4, 3), torch.zeros(3, 4, 4).byte()])
def test_to_uint8_refuses_other_shapes_and_types(image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected a float tensor \(3, H, W\)"):
        to_uint8(image)


def test_write_png_refuses_other_suffixes_and_shapes(tmp_path: Path, colours: Picture) -> None:
    with pytest.raises(ValueError, match=r"ending in \.png"):
        write_png(tmp_path / "a.jpg", colours)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        write_png(tmp_path / "a.png", colours[..., 0])
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, colours: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "a.png", colours)

    def fail(self: Image.Image, path: Path, format: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_png(tmp_path / "a.png", 255 - colours)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_the_size_agrees(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((12, 20, 3), np.uint8)
    upright[:4, :6] = (255, 0, 0)
    stored = {  # what a camera stores, so that a viewer which follows the tag shows it upright
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "rotated.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path), upright)
    assert image_size(path) == (12, 20)


def test_grey_bilevel_and_palette_become_rgb(tmp_path: Path, colours: Picture) -> None:
    grey = colours[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))
    Image.fromarray(grey > 127).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bilevel.png")[..., 1], (grey > 127) * np.uint8(255))
    palette = Image.fromarray(colours).quantize(16)
    palette.save(tmp_path / "palette.gif")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.gif"), np.asarray(palette.convert("RGB")))


def test_alpha_is_composited_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = (0, 128, 255)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    result = read_image(tmp_path / "alpha.png")[0].astype(int)
    expected = np.array([[255, 255, 255], [227, 127, 127], [200, 0, 0]])
    assert np.abs(result - expected).max() <= 1
    Image.fromarray(rgba[..., [0, 3]]).save(tmp_path / "grey_alpha.png")
    assert np.abs(read_image(tmp_path / "grey_alpha.png")[0, :, 2].astype(int) - [255, 227, 200]).max() <= 1


def test_16_bit_grey_is_scaled_to_8_bits(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 40000, 65535]], np.uint16)
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(values).save(tmp_path / name)
        picture = read_image(tmp_path / name)
        assert picture.shape == (1, 6, 3)
        assert picture[0, :, 1].tolist() == [0, 0, 1, 1, 156, 255], name


def test_16_bit_colour_is_read_within_one_level(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 7, 3), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(_png(7, 6, 16, values.astype(">u2").reshape(6, -1).view(np.uint8)))
    result = read_image(tmp_path / "deep.png").astype(float)
    assert np.abs(result - values / 257).max() <= 1


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "ink.jpg", quality=100)
    red = read_image(tmp_path / "ink.jpg")[4, 4].astype(int)
    assert red[0] > 250
    assert red[1:].max() < 5


def test_an_embedded_profile_is_converted_and_a_damaged_one_passed_over(tmp_path: Path, colours: Picture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb.png", srgb), ("damaged.png", b"not a profile")):
        Image.fromarray(colours).save(tmp_path / name, icc_profile=profile)
        np.testing.assert_array_equal(read_image(tmp_path / name), colours)
    swapped = _swap_red_and_blue_primaries(srgb)
    Image.fromarray(colours).save(tmp_path / "swapped.png", icc_profile=swapped)
    result = read_image(tmp_path / "swapped.png").astype(int)
    assert np.abs(result - colours[..., ::-1]).max() <= 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "empty, or not a picture"),
        ("text.png", b"these are words, no pixels", "empty, or not a picture"),
        ("bomb.png", None, "decompression bomb"),
    ],
)
def test_bad_files_raise_an_error_with_path_and_reason(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(_png(60000, 60000, 8, np.zeros((1, 3), np.uint8)) if content is None else content)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=reason) as caught:
            read(path)
        assert caught.value.path == path
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
def test_truncated_files_raise(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    Image.fromarray(noise).save(whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match="cut"):
        read_image(cut)


def test_large_but_not_absurd_pictures_pass_without_a_warning(
    tmp_path: Path, colours: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "a.png", colours)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", colours.size // 3 - 1)  # Pillow warns here, fails at twice
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours)


def test_missing_files_folders_and_float_samples_raise(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="expected 8- or 16-bit samples"):
        read_image(tmp_path / "float.tif")


def test_bytes_are_read_as_files_are_and_errors_survive_pickling(colours: Picture) -> None:
    buffer = BytesIO()
    Image.fromarray(colours).save(buffer, "PNG")
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), "row 3"), colours)
    with pytest.raises(ImageError, match="row 4") as caught:
        decode_image(b"", "row 4")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_find_images_searches_folders_and_takes_files_as_they_are(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "deep/er/c.TiFF", "notes.txt", "._b.jpg", ".cache/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = [tmp_path / "a.png", tmp_path / "b.JPG", tmp_path / "deep/er/c.TiFF"]
    assert find_images(tmp_path) == expected
    assert find_images([tmp_path / "notes.txt", tmp_path / "b.JPG", str(tmp_path)]) == [
        tmp_path / "notes.txt",
        tmp_path / "b.JPG",
        tmp_path / "a.png",
        tmp_path / "deep/er/c.TiFF",
    ]


def test_find_images_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match=r"no pictures found; looked in it and below for .*\.png"):
        find_images(tmp_path)
    with pytest.raises(ImageError, match="no such file or folder"):
        find_images([tmp_path / "missing"])
    with pytest.raises(ImageError, match="at least one"):
        find_images([])


def _png(width: int, height: int, depth: int, rows: Picture) -> bytes:
    """A colour PNG of any declared size and depth, from its raw rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _swap_red_and_blue_primaries(profile: bytes) -> bytes:
    """An sRGB profile whose first and third channels trade places, under another name."""
    swapped = bytearray(profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")))
    for index in range(int.from_bytes(profile[128:132], "big")):
        entry = 132 + 12 * index
        name = profile[entry : entry + 4]
        swapped[entry : entry + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(swapped)
