"""Many files: what is done stays done, what fails stops nothing else, and bad files are one line each."""

import io
import os
import shutil
import stat
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from defusion import cli
from defusion.describer.network import Describer, DescriberConfig
from defusion.diffusion.model import Defusion
from defusion.imageio import image_size, read_image
from defusion.instruction import VisualInstruction
from defusion.restore import batch
from defusion.restore.batch import Batch, How, Results
from defusion.restore.places import Found, Place, find_places
from defusion.restore.restorer import Restorer

Run = Callable[..., int]


@pytest.fixture
def restorer(model: Defusion) -> Restorer:
    return Restorer(model, "cpu")


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "deep/c.png"):
        (tmp_path / "holiday" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / "holiday" / name)
    return tmp_path / "holiday"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Path) -> Run:
    """`defusion restore ARGUMENTS` with small weights in an empty folder; the exit code."""
    monkeypatch.chdir(tmp_path)

    def start(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["defusion", "restore", *map(str, arguments), "--weights", str(weights)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    return start


def restored(restorer: Restorer, holiday: Path, how: How, **options: Any) -> Results:
    out = holiday.parent / "out"
    return Batch(restorer, out, how, "these weights", **options).run(find_places([str(holiday)], out))


def states(results: Results) -> list[str]:
    return [row.state for row in results.rows]


def test_what_is_done_stays_done(restorer: Restorer, holiday: Path) -> None:
    how = How("rain")
    assert states(restored(restorer, holiday, how)) == ["restored"] * 3
    out = holiday.parent / "out"
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.*g")}
    assert len(before) == 3
    assert states(restored(restorer, holiday, how)) == ["done before"] * 3
    assert states(restored(restorer, holiday, how, overwrite=True)) == ["done before"] * 3
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.*g")} == before
    os.utime(holiday / "a.png", ns=(1, 1))
    (out / "b.jpg").unlink()
    results = restored(restorer, holiday, how)
    assert states(results) == ["failed", "restored", "done before"]
    assert "is there already; --overwrite replaces it" in results.failed[0].note
    assert states(restored(restorer, holiday, how, overwrite=True)) == ["restored", "done before", "done before"]


def test_results_of_another_way_are_not_taken_for_these(restorer: Restorer, holiday: Path) -> None:
    """And a mistaken run in another way takes nothing from what is done."""
    assert states(restored(restorer, holiday, How("rain"))) == ["restored"] * 3
    assert states(restored(restorer, holiday, How("rain", strength=0.5))) == ["failed"] * 3
    assert states(restored(restorer, holiday, How("rain"))) == ["done before"] * 3
    assert states(restored(restorer, holiday, How("rain", strength=0.5), overwrite=True)) == ["restored"] * 3
    assert states(restored(restorer, holiday, How("rain"))) == ["failed"] * 3
    shown = restorer.instruction("rain")
    assert How(shown).digest("w") == How(restorer.instruction("rain")).digest("w")
    ways = [How(shown), How(restorer.instruction("rain", 1)), How("rain"), How("rain", {"rain": 1.0})]
    ways.append(How("rain", steps=2))
    assert len({own.digest(weights) for own in ways for weights in ("w", "v")}) == 10


def test_a_result_that_was_there_before_is_not_taken_for_ours(
    restorer: Restorer, holiday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a run was killed between its note and its file."""
    out = holiday.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"somebody's")
    os.utime(out / "a.png", (1, 1))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    write = batch.write_stored
    monkeypatch.setattr(batch, "write_stored", killed)
    with pytest.raises(KeyboardInterrupt):
        restored(restorer, holiday, How("rain"), overwrite=True)
    monkeypatch.setattr(batch, "write_stored", write)
    assert states(restored(restorer, holiday, How("rain"))) == ["failed", "restored", "restored"]
    assert (out / "a.png").read_bytes() == b"somebody's"


def test_an_interrupted_run_goes_on(restorer: Restorer, holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = batch.write_stored
    written: list[Path] = []

    def interrupted(path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *rest)

    monkeypatch.setattr(batch, "write_stored", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restored(restorer, holiday, How("rain"))
    monkeypatch.setattr(batch, "write_stored", write)
    assert states(restored(restorer, holiday, How("rain"))) == ["done before", "done before", "restored"]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (OSError(28, "No space left on device", "out/a.png"), "No space left on device: out/a.png"),
        (PermissionError(13, "Permission denied", "out/a.png"), "Permission denied: out/a.png"),
        (MemoryError(), "give a smaller --tile"),
        (torch.OutOfMemoryError("CUDA"), "give a smaller --tile"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "give a smaller --tile"),
        (RuntimeError("two\nlines"), "two lines"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_whatever_fails_stops_nothing_else(
    restorer: Restorer, holiday: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, note: str
) -> None:
    write = batch.write_stored

    def fail(path: Path, *rest: Any) -> tuple[str, ...]:
        if path.name == "a.png":
            raise error
        return write(path, *rest)

    monkeypatch.setattr(batch, "write_stored", fail)
    results = restored(restorer, holiday, How("rain"))
    assert states(results) == ["failed", "restored", "restored"]
    assert note in results.failed[0].note
    assert "\n" not in results.failed[0].note


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (How("rain"), "rain"),
        (How("rain:0.7+noise", 0.5), "rain:0.7+noise; strength 0.5"),
        (How("rain+noise", {"rain": 1, "noise": 0.3}), "rain+noise; strength rain 1, noise 0.3"),
        (How(VisualInstruction(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32), "shown")), "shown"),
    ],
)
def test_table_and_sheet_say_what_was_removed_and_how_much(
    restorer: Restorer, holiday: Path, how: How, words: str
) -> None:
    results = restored(restorer, holiday, how)
    assert {row.note for row in results.rows} == {after.label for _, after in results.cells} == {words}


def test_a_picture_is_not_written_over_itself(restorer: Restorer, holiday: Path) -> None:
    found = Found([Place((holiday / "a.png").resolve(), "a.png")], {})
    before = (holiday / "a.png").read_bytes()
    results = Batch(restorer, holiday, How("rain"), "w", overwrite=True).run(found)
    assert "is the picture itself" in results.failed[0].note
    assert (holiday / "a.png").read_bytes() == before


def test_the_command_restores_a_folder(run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("holiday", "--out", "out", "--instruction", "rain:0.8+noise", "--strength", "rain=1,noise=0.5") == 0
    for name in ("a.png", "b.jpg", "deep/c.png"):
        assert read_image(Path("out") / name).shape == (20, 30, 3)
    assert read_image("out/contact_sheet.png").shape[0] > 256
    assert "3 restored" in capsys.readouterr().out
    assert run("holiday", "--out", "out", "--instruction", "rain:0.8+noise", "--strength", "rain=1,noise=0.5") == 0
    assert "3 done before" in capsys.readouterr().out


def test_the_command_takes_a_list(run: Run, holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("holiday/a.png\nholiday/deep/c.png\n"))
    assert run("-", "--out", "out", "--instruction", "rain", "--format", "webp", "--no-sheet") == 0
    assert sorted(file.name for file in Path("out").iterdir()) == [".defusion.jsonl", "a.webp", "c.webp"]


def test_results_beside_the_pictures_are_not_restored_again(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor the contact sheet; a result that is named as a file is."""
    for state in ("3 restored", "3 done before"):
        assert run("holiday", "--out", "holiday", "--instruction", "rain", "--format", "webp") == 0
        assert capsys.readouterr().out.count(state) == 1
    assert sorted(file.name for file in holiday.rglob("*.webp")) == ["a.webp", "b.webp", "c.webp"]
    assert run("holiday/a.webp", "--out", "again", "--instruction", "rain") == 0
    assert Path("again/a.webp").exists()
    os.utime(holiday / "a.webp", (0, 0))  # another file of that name, older than the restoration: a picture
    assert run("holiday", "--out", "holiday", "--instruction", "rain", "--format", "avif") == 0
    assert "4 restored" in capsys.readouterr().out


def test_results_in_folders_below_are_not_restored_again(run: Run, holiday: Path) -> None:
    """Of another output folder; those of a folder that is named itself are."""
    assert run("holiday", "--out", "holiday/out", "--instruction", "rain") == 0
    (holiday / "out" / "own.png").write_bytes((holiday / "a.png").read_bytes())  # not a result
    assert run("holiday", "--out", "again", "--instruction", "rain") == 0
    names = {file.relative_to("again").as_posix() for file in Path("again").rglob("*.*g")}
    assert names == {"a.png", "b.jpg", "deep/c.png", "out/own.png", "contact_sheet.png"}
    assert run("holiday/out", "--out", "further", "--instruction", "noise", "--no-sheet") == 0
    names = {file.relative_to("further").as_posix() for file in Path("further").rglob("*.*g")}
    assert names == {"a.png", "b.jpg", "deep/c.png", "own.png"}


def test_a_name_that_is_too_long_is_a_line_at_the_end(run: Run, holiday: Path) -> None:
    assert run("x" * 300, "holiday", "--out", "out", "--instruction", "rain") == 1
    assert Path("out/a.png").exists()


def test_grids_beside_their_pictures_are_no_pictures(run: Run, holiday: Path) -> None:
    assert run("holiday", "--out", "holiday/grids", "--instruction", "rain", "--grid") == 0
    assert run("holiday", "--out", "out", "--instruction", "rain", "--no-sheet") == 0
    assert {file.name for file in Path("out").rglob("*.*g")} == {"a.png", "b.jpg", "c.png"}
    shutil.rmtree(holiday / "grids")
    for _ in range(2):
        assert run("holiday", "--out", "holiday", "--instruction", "rain", "--grid", "--overwrite") == 0
    grids = ["a.png_grid.png", "b.jpg_grid.png", "c.png_grid.png"]
    assert sorted(file.name for file in holiday.rglob("*grid*")) == grids


def test_failures_are_listed_and_the_exit_code_is_1(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (holiday / "b.jpg").write_bytes(b"no picture")
    assert run("holiday", "--out", "out", "--instruction", "rain") == 1
    error = capsys.readouterr().err
    assert "1 of 3 pictures failed" in error
    assert "b.jpg" in error
    assert "Traceback" not in error
    assert Path("out/a.png").exists()


def test_names_are_no_markup(run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (holiday / "a.png").rename(holiday / "x[b]y.png")
    (holiday / "b.jpg").rename(holiday / "x[-b].jpg")
    assert run("holiday", "--out", "out", "--instruction", "rain") == 0
    printed = capsys.readouterr().out
    assert "x[b]y.png" in printed
    assert "x[-b].jpg" in printed


def test_a_contact_sheet_overwrites_nothing(run: Run, holiday: Path) -> None:
    (holiday / "a.png").rename(holiday / "contact_sheet.png")
    assert run("holiday", "--out", "out", "--instruction", "rain") == 0
    assert read_image("out/contact_sheet.png").shape == (20, 30, 3)
    (holiday / "contact_sheet.png").rename(holiday / "a.png")
    assert run("holiday", "--out", "out", "--instruction", "rain") == 0
    assert read_image("out/contact_sheet.png").shape == (20, 30, 3)


def test_what_is_missing_is_listed_and_the_rest_restored(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("holiday", "nowhere.png", "--out", "out", "--instruction", "rain") == 1
    assert "nowhere.png: no such file or folder" in capsys.readouterr().err
    assert len(list(Path("out").rglob("*.*g"))) == 4


def test_grids_are_drawn(run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (holiday / "b.jpg").write_bytes(b"no picture")
    arguments = ("holiday", "gone.png", "--out", "out", "--instruction", "rain", "--grid")
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert "b.jpg: empty, or not a picture" in said
    assert "2 of 4 pictures failed" in said
    for name in ("a.png", "deep/c.png"):
        assert read_image(f"out/{name}_grid.png").shape[1] > 5 * 256
    assert run(*arguments) == 1
    assert "is there already" in capsys.readouterr().err


def test_pictures_are_described(
    model: Defusion,
    holiday: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shape = DescriberConfig(crop_size=32, channels=(16,), blocks=(1,), width=32)
    Restorer(model, "cpu", Describer(shape, model.tokenizer)).save_pretrained(tmp_path / "describing")
    (holiday / "b.jpg").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("holiday/a.png\n"))

    def describe(*arguments: object) -> int:
        given = ["defusion", "describe", "--weights", "describing", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    assert describe("holiday", "--out", "seen.png") == 1
    out, error = capsys.readouterr()
    assert "a.png" in out
    assert "% sure" in out
    assert "b.jpg: empty, or not a picture" in error
    assert read_image("seen.png").shape[0] > 2 * 256
    assert describe("-") == 0
    assert describe("holiday/a.png", "--out", "seen.jpg") == 2
    assert "ending in .png" in capsys.readouterr().err
    before = (holiday / "a.png").read_bytes()
    assert describe("holiday/a.png", "--out", "holiday/a.png") == 2
    assert "is there already" in capsys.readouterr().err
    assert (holiday / "a.png").read_bytes() == before
    assert describe("holiday/a.png", "--weights", weights) == 2
    out, error = capsys.readouterr()
    assert "needs a describer" in error
    assert not out  # no empty table


def test_a_pair_shows_what_to_remove(run: Run, holiday: Path) -> None:
    draw = np.random.default_rng(1)
    hq = draw.integers(60, 190, (72, 80, 3), dtype=np.uint8)
    noisy = np.clip(hq + draw.normal(0, 20, hq.shape), 0, 255).astype(np.uint8)
    for name, picture in (("before", noisy), ("after", hq)):
        Image.fromarray(picture).save(f"{name}.png")
    like = ("--like", "before.png", "after.png")
    assert run("holiday/a.png", "--out", "out", *like, "--instruction", "noise") == 0
    assert (read_image("out/a.png") != read_image("holiday/a.png")).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--instruction", "fog"], "unknown degradation 'fog'"),
        (["--instruction", "rain", "--strength", "2"], "strength: expected a number in [0, 1]"),
        (["--instruction", "rain", "--strength", "snow=1"], "strength: expected one for each of rain, got snow"),
        (["--instruction", "rain", "--grid", "--steps", "2"], "--grid: draws all strengths and steps"),
        (["--instruction", "rain", "--out", "holiday/a.png"], "--out: expected a folder for the restored pictures"),
        (["--instruction", "rain", "--strength", "much"], "--strength: expected 0.5, or rain=1,noise=0.3"),
        (["--instruction", "rain", "--format", "gif"], "--format: expected one of"),
        (["--instruction", "rain", "--tile", "100"], "tile: expected at least 384 px"),
        (["--instruction", "auto"], "needs a describer"),
        ([], "needs a describer"),
        (["--instruction", "rain", "--chart", "a", "b"], "--chart: expected it alone"),
        (["--like", "holiday/a.png", "holiday/b.jpg"], "these have not"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("holiday/a.png", "--out", "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(Path("out").glob("*.png"))


def png(width: int, height: int, depth: int = 8, kind: int = 2, data: bytes = b"") -> bytes:
    """A PNG file with a header of our choice."""
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    for name, own in ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        PngImagePlugin.putchunk(file, name, own)
    return file.getvalue()


def saved(form: str, size: tuple[int, int] = (30, 20), mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, form, **options)
    return file.getvalue()


def frames(form: str) -> bytes:
    file = io.BytesIO()
    own = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 100, 200)]
    own[0].save(file, form, save_all=True, append_images=own[1:])
    return file.getvalue()


def floats(values: float) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), values, np.float32)).save(file, "TIFF")
    return file.getvalue()


JPEG, PNG, WEBP, TIFF = (saved(form) for form in ("JPEG", "PNG", "WEBP", "TIFF"))
BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "not a picture"),
    "empty.jpg": (b"", "not a picture"),
    "zeros.png": (bytes(5000), "not a picture"),
    "zeros.jpg": (bytes(5000), "not a picture"),
    "text.png": (b"hello\n" * 50, "not a picture"),
    "page.jpg": (b"<!DOCTYPE html><html></html>", "not a picture"),
    "vector.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a picture"),
    "document.tif": (b"%PDF-1.4\n%%EOF\n", "not a picture"),
    "archive.png": (b"PK\x03\x04" + bytes(100), "not a picture"),
    "pickle.png": (b"\x80\x04cos\nsystem\n", "not a picture"),
    "truncated.png": (PNG[: len(PNG) // 2], ""),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], ""),
    "truncated.webp": (WEBP[: len(WEBP) // 2], ""),
    "truncated.tif": (TIFF[: len(TIFF) // 2], ""),
    "header.png": (PNG[:33], ""),
    "header.jpg": (JPEG[:20], ""),
    "signature.png": (PNG[:8], ""),
    "damaged.png": (PNG[:60] + bytes(40) + PNG[100:], ""),
    "damaged.webp": (WEBP[:20] + bytes(12) + WEBP[32:100], ""),
    "checksum.png": (PNG[:29] + b"\0\0\0\0" + PNG[33:], ""),
    "bomb.png": (png(40_000, 40_000), "decompression bomb"),
    "bomb_wide.png": (png(2**30, 1), ""),
    "bomb_grey.png": (png(60_000, 60_000, 1, 0), "decompression bomb"),
    "no_width.png": (png(0, 5), ""),
    "no_pixels.png": (png(20, 20), ""),
    "short.png": (png(20, 20, data=bytes(100)), ""),
    "wrong_depth.png": (png(4, 4, depth=7, data=bytes(100)), ""),
    "wrong_kind.png": (png(4, 4, kind=5, data=bytes(100)), ""),
    "animated.gif": (frames("GIF"), "3 frames"),
    "animated.webp": (frames("WEBP"), "3 frames"),
    "animated.png": (frames("PNG"), "3 frames"),
    "pages.tif": (frames("TIFF"), "3 frames"),
    "nan.tif": (floats(float("nan")), "8- or 16-bit samples"),
    "infinite.tif": (floats(float("inf")), "8- or 16-bit samples"),
    "floats.tif": (floats(0.5), "8- or 16-bit samples"),
    "lab.tif": (saved("TIFF", mode="LAB"), "8- or 16-bit samples"),
    "half_name.jpeg": (JPEG[2:], "not a picture"),
    "twice_truncated.jpg": (JPEG[:200], ""),
    "avif.avif": (b"\0\0\0\x1cftypavif" + bytes(50), ""),
    "jp2.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), ""),
    "bmp.bmp": (b"BM" + bytes(60), ""),
    "tiff.tif": (b"II*\0" + bytes(60), ""),
    "ppm.ppm": (b"P6\n100000 100000\n255\n", ""),
    "ppm_short.ppm": (b"P6\n10 10\n255\nabc", ""),
    "ppm_words.ppm": (b"P6\nten ten\n255\n", ""),
}
"""File -> its bytes, and what the line about it must say."""

GOOD: dict[str, bytes] = {
    "pixel.png": saved("PNG", (1, 1)),
    "row.png": saved("PNG", (300, 1)),
    "narrow.png": saved("PNG", (3, 2000)),
    "cmyk.jpg": saved("JPEG", mode="CMYK"),
    "palette.png": saved("PNG", mode="P"),
    "bilevel.png": saved("PNG", mode="1"),
    "grey.jpg": saved("JPEG", mode="L"),
    "really_a.jpg": PNG,
    "really_b.png": JPEG,
    "damaged_profile.png": saved("PNG", icc_profile=b"nothing"),
    "damaged_exif.jpg": saved("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "interlaced.jpg": saved("JPEG", progressive=True),
}


def test_there_are_more_than_fifty() -> None:
    assert len(BAD) + len(GOOD) >= 50


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(
    name: str, run: Run, holiday: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    assert run(name, "holiday/a.png", "--out", "out", "--instruction", "rain") == 1
    out, error = capsys.readouterr()
    assert "Traceback" not in out + error
    lines = error.strip().splitlines()
    assert len(lines) == 2, error
    assert name in lines[1]
    assert message in lines[1]
    assert sorted(file.name for file in Path("out").rglob("*")) == [".defusion.jsonl", "a.png"]


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_file_is_restored(name: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(GOOD[name])
    assert run(name, "--out", "out", "--instruction", "rain") == 0
    assert image_size(Path("out") / name) == image_size(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written_is_one_line(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (holiday / "a.png").chmod(0)
    assert run("holiday/a.png", "--out", "out", "--instruction", "rain") == 1
    assert "Permission denied" in capsys.readouterr().err
    (holiday / "a.png").chmod(stat.S_IRUSR)
    Path("closed").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert run("holiday/a.png", "--out", "closed", "--instruction", "rain") in (1, 2)
    assert "Permission denied" in capsys.readouterr().err


def test_an_output_that_cannot_be_a_folder_is_one_line(
    run: Run, holiday: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").write_text("a file")
    assert run("holiday/a.png", "--out", "out", "--instruction", "rain") == 2
    assert capsys.readouterr().err.startswith("defusion: ")
    assert Path("out").read_text() == "a file"


def test_a_full_disk_leaves_nothing_behind(
    run: Run, holiday: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Image.Image, file: Path, **_: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert run("holiday", "--out", "out", "--instruction", "rain") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert [file.name for file in Path("out").rglob("*") if file.is_file()] == [".defusion.jsonl"]


def test_a_picture_that_vanishes_is_one_line(restorer: Restorer, holiday: Path) -> None:
    found = find_places([str(holiday)], holiday.parent / "out")
    (holiday / "a.png").unlink()
    results = Batch(restorer, holiday.parent / "out", How("rain"), "w").run(found)
    assert states(results) == ["failed", "restored", "restored"]
    assert "No such file" in results.failed[0].note
