"""Test sets open from folders, MATLAB files and tables, and are refused whole when anything is wrong with them."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import datasets
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import io

from data_modules.benchmark import PairSet, PairSetError, open_benchmark
from data_modules.levels import read_levels
from data_modules.pair_tables import find_columns
from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.imageio import ImageError, Picture, read_image, write_png
from defusion.layouts import Layout

PAIRS = (Layout("target/{name}", "input/{name}"),)
CLEAN = (Layout("target/{name}"),)
SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "benchmarks"


def picture(value: int, height: int = 12, width: int = 16) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def make_pairs(root: Path, count: int = 4) -> Path:
    """Pairs whose input is the target with every bit turned over, each of its own size."""
    for number in range(count):
        clean = picture(number, 12 + number)
        write_png(root / "target" / f"{number}.png", clean)
        write_png(root / "input" / f"{number}.png", np.bitwise_not(clean))
    return root


def error_of(data: Path | str, **options: Any) -> str:
    with pytest.raises(PairSetError) as caught:
        open_benchmark(data, PAIRS, **options)
    return str(caught.value)


def test_pairs_come_by_position_with_their_names(tmp_path: Path) -> None:
    pairs = open_benchmark(make_pairs(tmp_path, 11), PAIRS, count=11)
    assert len(pairs) == 11
    assert pairs.names == [str(number) for number in range(11)]
    assert pairs.facts[10] == {"name": "10"}
    for number in range(11):
        degraded, clean = pairs[number]
        np.testing.assert_array_equal(clean, picture(number, 12 + number))
        np.testing.assert_array_equal(degraded, np.bitwise_not(clean))


def test_references_alone_where_the_layouts_have_no_input(tmp_path: Path) -> None:
    pairs = open_benchmark(make_pairs(tmp_path), CLEAN, count=4)
    degraded, clean = pairs[3]
    assert degraded is None
    np.testing.assert_array_equal(clean, picture(3, 15))


@pytest.mark.parametrize("name", ["go pro", "GOPRO", "Go-Pro"])
def test_a_root_that_holds_the_set_will_do(name: str, tmp_path: Path) -> None:
    make_pairs(tmp_path / name)
    make_pairs(tmp_path / "other", 2)
    assert len(open_benchmark(tmp_path, PAIRS, ["GoPro", "go_pro"], count=4)) == 4
    assert error_of(tmp_path, folders=["GoPro", "go_pro"], count=5).startswith(
        f"{tmp_path / name}: nothing was restored"
    )


def test_all_kinds_of_faults_are_said_at_once(tmp_path: Path) -> None:
    make_pairs(tmp_path, 9)
    (tmp_path / "target/0.png").unlink()
    (tmp_path / "input/1.png").unlink()
    write_png(tmp_path / "target/2.png", picture(0, 9, 8))
    (tmp_path / "input/3.png").write_bytes(b"")
    (tmp_path / "target/4.png").write_bytes((tmp_path / "target/4.png").read_bytes()[:20])
    Image.new("RGB", (16, 17)).save(tmp_path / "input/5.jpg")
    lines = error_of(tmp_path, count=9).splitlines()
    assert lines[0] == f"{tmp_path}: nothing was restored, for the test set is not as it should be:"
    assert lines[1].startswith("  7 pictures found, expected 9: give all of them, or --subset")
    assert lines[2:5] == [
        "  1 degraded pictures without a reference (input/0.png)",
        "  1 references without a degraded picture (target/1.png)",
        "  1 pictures of one name (input/5.jpg and input/5.png)",
    ]
    assert "  1 of another size than the reference (2: 16 x 14 against 8 x 9)" in lines
    unreadable = next(line for line in lines if " unreadable " in line)
    assert unreadable.startswith("  2 unreadable (")
    assert "input/3.png: empty" in unreadable
    assert "target/4.png: " in unreadable


def test_one_missing_partner_is_enough(tmp_path: Path) -> None:
    (make_pairs(tmp_path) / "input/2.png").unlink()
    assert "1 references without a degraded picture (target/2.png)" in error_of(tmp_path, count=4, subset=True)


def test_the_number_must_be_right_but_for_a_part_on_purpose(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    assert "4 pictures found, expected 5: give all of them, or --subset to evaluate a part" in error_of(
        tmp_path, count=5
    )
    assert len(open_benchmark(tmp_path, PAIRS, count=5, subset=True)) == 4
    for subset in (False, True):
        assert "4 pictures found, expected 3: leave out those" in error_of(tmp_path, count=3, subset=subset)


def test_a_reference_that_is_larger_is_cropped_in_its_middle_where_the_set_says_so(tmp_path: Path) -> None:
    clean = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    sots = BENCHMARKS["sots_indoor"]
    write_png(tmp_path / "indoor/gt/1400.png", clean)
    write_png(tmp_path / "indoor/hazy/1400_1.png", clean[10:470, 10:630])
    write_png(tmp_path / "indoor/hazy/1400_2.png", clean)
    pairs = open_benchmark(tmp_path, sots.layouts, sots.folders, count=2, crop_target=sots.crop_target)
    assert pairs.names == ["1400_1", "1400_2"]
    assert pairs.facts[1] == {"name": "1400", "level": "2"}
    for number in range(2):
        degraded, target = pairs[number]
        np.testing.assert_array_equal(degraded, target)
    with pytest.raises(
        PairSetError, match=r"1 of another size than the reference \(1400_1: 620 x 460 against 640 x 480"
    ):
        open_benchmark(tmp_path, sots.layouts, count=2)
    write_png(tmp_path / "indoor/hazy/1400_2.png", picture(0, 470, 650))
    with pytest.raises(PairSetError, match=r"1400_2: 650 x 470 against 640 x 480"):
        open_benchmark(tmp_path, sots.layouts, count=2, crop_target=True)


def test_what_is_not_there_is_said_with_what_is_expected(tmp_path: Path) -> None:
    assert "nowhere': not found; expected the folder of the test set" in error_of(tmp_path / "nowhere")
    (tmp_path / "words.txt").touch()
    assert "words.txt': is a file; expected the folder" in error_of(tmp_path / "words.txt")
    (tmp_path / "empty").mkdir()
    message = error_of(tmp_path / "empty", folders=["GoPro", "GOPRO_Large"])
    assert "found among 0 files:\n  target/{name} with input/{name}: 0 references, 0 degraded" in message
    assert message.endswith("\nor a folder that holds it as GoPro or GOPRO_Large")


def test_a_picture_damaged_behind_its_header_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    for side in ("input", "target"):
        write_png(tmp_path / side / "0.png", noise)
    path = tmp_path / "input/0.png"
    path.write_bytes(path.read_bytes()[:200])
    pairs = open_benchmark(tmp_path, PAIRS, count=1)
    with pytest.raises(ImageError, match=r"input/0\.png"):
        pairs[0]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_keep_their_precision_and_channel_order(suffix: str, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (12, 16, 3), dtype=np.uint16)
    for side in ("input", "target"):
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / f"1P0A0917{suffix}"), deep[..., ::-1])
    degraded, target = open_benchmark(tmp_path, PAIRS, count=1)[0]
    assert degraded is not None
    assert degraded.dtype == target.dtype == np.uint16
    np.testing.assert_array_equal(degraded, deep)
    np.testing.assert_array_equal(target, deep)
    eight = read_image(tmp_path / "target" / f"1P0A0917{suffix}")
    assert np.abs(eight.astype(int) * 257 - deep.astype(int)).max() > 100


def test_16_bits_of_a_damaged_file_are_an_error(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (12, 16, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), deep)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=r"a\.png"):
        read_levels(path)


def test_8_bits_are_read_as_everywhere_else(tmp_path: Path) -> None:
    Image.fromarray(picture(7)[..., 0]).save(tmp_path / "grey.png")
    levels = read_levels(tmp_path / "grey.png")
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, picture(7))
    with pytest.raises(ImageError, match="cannot be read"):
        read_levels(tmp_path / "none.png")


def write_blocks(path: Path, name: str, blocks: NDArray[Any]) -> None:
    io.savemat(str(path), {name: blocks})


def test_blocks_of_sidd_come_from_matlab_files(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 14, 3), dtype=np.uint8)
    write_blocks(tmp_path / "ValidationGtBlocksSrgb.mat", "ValidationGtBlocksSrgb", blocks)
    write_blocks(tmp_path / "ValidationNoisyBlocksSrgb.mat", "ValidationNoisyBlocksSrgb", np.bitwise_not(blocks))
    sidd = BENCHMARKS["sidd"]
    pairs = open_benchmark(tmp_path, sidd.layouts, sidd.folders, count=6)
    assert pairs.names == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    assert pairs.facts[5] == {"scene": "1", "block": "2"}
    degraded, target = pairs[4]
    np.testing.assert_array_equal(target, blocks[1, 1])
    np.testing.assert_array_equal(degraded, np.bitwise_not(blocks[1, 1]))
    with pytest.raises(PairSetError, match="6 pictures found, expected 1280"):
        open_benchmark(tmp_path, sidd.layouts, count=sidd.count)
    write_blocks(tmp_path / "ValidationNoisyBlocksSrgb.mat", "a", blocks[:1])
    with pytest.raises(PairSetError, match=r"NoisyBlocksSrgb.mat: expected the shape of ValidationGtBlocksSrgb.mat"):
        open_benchmark(tmp_path, sidd.layouts, count=6)
    write_blocks(tmp_path / "ValidationNoisyBlocksSrgb.mat", "a", blocks.astype(np.float32))
    with pytest.raises(PairSetError, match=r"expected one array .* of uint8, found a \(2, 3, 12, 14, 3\) of single"):
        open_benchmark(tmp_path, sidd.layouts, count=6)
    (tmp_path / "ValidationNoisyBlocksSrgb.mat").write_bytes(b"nothing of MATLAB's")
    with pytest.raises(PairSetError, match=r"NoisyBlocksSrgb.mat: expected a MATLAB file of version 5 to 7.2"):
        open_benchmark(tmp_path, sidd.layouts, count=6)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`datasets` keeps its copies here, shows no progress, and asks no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def png(pixels: Picture) -> dict[str, Any]:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., str]:
    """Writes columns of pictures and of words to a parquet file as the hub has them."""

    def make(name: str = "pairs.parquet", **columns: list[Any]) -> str:
        table = datasets.Dataset.from_dict(columns)
        for column, values in columns.items():
            if isinstance(values[0], dict):
                table = table.cast_column(column, datasets.Image())
        path = tmp_path / "tables" / name
        path.parent.mkdir(exist_ok=True)
        table.to_parquet(path)
        return str(path)

    return make


CLEANS = [picture(number, 12 + number) for number in range(4)]
NOISY = [png(np.bitwise_not(clean)) for clean in CLEANS]
SHARP = [png(clean) for clean in CLEANS]


def check(pairs: PairSet, order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    for number in order:
        degraded, clean = pairs[number]
        np.testing.assert_array_equal(clean, CLEANS[number])
        np.testing.assert_array_equal(degraded, np.bitwise_not(clean))


@pytest.mark.parametrize("prefix", ["", "stream:"])
@pytest.mark.parametrize("names", [("input", "target"), ("Noisy", "GT"), ("lq", "x"), ("x", "sharp")])
def test_pairs_come_from_two_columns_by_their_names(
    names: tuple[str, str], prefix: str, parquet: Callable[..., str]
) -> None:
    degraded, target = names
    pairs = open_benchmark(prefix + parquet(**{target: SHARP, degraded: NOISY}), PAIRS, count=4)
    assert (len(pairs), pairs.names) == (4, ["0", "1", "2", "3"])
    check(pairs)


def test_columns_by_name_are_found_among_others_in_any_case(parquet: Callable[..., str]) -> None:
    check(open_benchmark(parquet(depth=SHARP, GT=SHARP, Noisy=NOISY), PAIRS, count=4))


def test_nothing_is_an_error_even_where_no_number_is_fixed(tmp_path: Path) -> None:
    kinds = datasets.Features(input=datasets.Image(), target=datasets.Image())
    datasets.Dataset.from_dict({"input": [], "target": []}, features=kinds).to_parquet(tmp_path / "empty.parquet")
    assert error_of(f"stream:{tmp_path / 'empty.parquet'}", subset=True).endswith("\n  no sample found")
    write_png(tmp_path / "target/a.png", picture(0))
    write_png(tmp_path / "input/b.png", picture(0))
    assert error_of(tmp_path, count=1, subset=True).splitlines()[1:] == [
        "  no sample found",
        "  1 degraded pictures without a reference (input/b.png)",
        "  1 references without a degraded picture (target/a.png)",
    ]


def test_columns_of_other_names_are_input_and_target_in_their_order(parquet: Callable[..., str]) -> None:
    check(open_benchmark(parquet(b=NOISY, a=SHARP), PAIRS, count=4))


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_words_of_a_table_are_facts(prefix: str, parquet: Callable[..., str]) -> None:
    words = ["low", "haze_rain", "low", None]
    data = parquet(input=NOISY, target=SHARP, degradation=words, number=[1, 2, 3, 4])
    pairs = open_benchmark(prefix + data, PAIRS, count=4)
    assert pairs.facts == [{"degradation": word} if word else {} for word in words]


def test_labels_are_facts_by_their_names() -> None:
    features = datasets.Features(
        input=datasets.Image(), gt=datasets.Image(), kind=datasets.ClassLabel(names=["rain", "snow"])
    )
    assert find_columns("it", features, paired=True).facts == ("kind",)


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_references_of_a_table_may_come_alone(prefix: str, parquet: Callable[..., str]) -> None:
    degraded, clean = open_benchmark(prefix + parquet(picture=SHARP), CLEAN, count=4)[2]
    assert degraded is None
    np.testing.assert_array_equal(clean, CLEANS[2])
    with pytest.raises(PairSetError, match=r"expected one column of degraded pictures, .*\['picture'\]"):
        open_benchmark(prefix + parquet(picture=SHARP), PAIRS)
    with pytest.raises(
        PairSetError, match=r"columns of pictures \['a', 'b', 'c'\] among \['a', 'b', 'c'\]; rename them"
    ):
        open_benchmark(prefix + parquet("c.parquet", a=SHARP, b=NOISY, c=NOISY), PAIRS)


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_table_is_checked_whole(prefix: str, parquet: Callable[..., str]) -> None:
    faulty = [NOISY[0], png(picture(1, 5, 6)), {"bytes": b"no picture", "path": None}, NOISY[3]]
    data = parquet(input=faulty, target=SHARP)
    message = error_of(prefix + data, count=5)
    assert "4 pictures found, expected 5" in message
    assert "1 of another size than the reference (1: 6 x 5 against 16 x 13)" in message
    assert "[2].input: empty, or not a picture" in message


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "none.parquet': not found; expected" in error_of(tmp_path / "none.parquet")
    assert "none.parquet: not found; expected a parquet or arrow file" in error_of(
        f"stream:{tmp_path / 'none.parquet'}"
    )
    assert "data='owner/none': no such folder or file, and as a data set:" in error_of("owner/none")


def test_a_stream_starts_over_for_what_lies_back(parquet: Callable[..., str]) -> None:
    pairs = open_benchmark("stream:" + parquet(input=NOISY, target=SHARP), PAIRS, count=4)
    check(pairs, (1, 3, 0, 0, 2))
    check(pairs)
    with pytest.raises(IndexError, match="expected 0 to 3, got 4"):
        pairs[4]
    assert len([clean for _, clean in pairs]) == 4  # type: ignore[attr-defined]


def test_the_test_split_of_a_folder_of_tables_counts(tmp_path: Path, parquet: Callable[..., str]) -> None:
    parquet("train-0.parquet", input=NOISY[:1], target=SHARP[:1])
    parquet("test-0.parquet", input=NOISY, target=SHARP)
    check(open_benchmark(tmp_path / "tables", PAIRS, count=4))
    check(open_benchmark(tmp_path, PAIRS, ["Tables"], count=4))


def test_16_bits_keep_their_precision_in_a_table(tmp_path: Path, parquet: Callable[..., str]) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (12, 16, 3), dtype=np.uint16)
    file = {"bytes": cv2.imencode(".png", deep[..., ::-1])[1].tobytes(), "path": None}
    _, target = open_benchmark(parquet(input=[file], target=[file]), PAIRS, count=1)[0]
    np.testing.assert_array_equal(target, deep)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples of the published sets in {SAMPLES}")
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gopro", 1),
        ("rain100l", 2),
        ("raindrop", 6),
        ("sots_outdoor", 1),
        ("polyu", 50),
        ("euvp", 12),
        ("cdd11", 1),
        ("live1", 29),
        ("cbsd68_s25", 68),
    ],
)
def test_samples_of_published_sets_open_as_a_part(name: str, found: int) -> None:
    benchmark = BENCHMARKS[name]
    pairs = open_benchmark(
        SAMPLES,
        benchmark.layouts,
        benchmark.folders,
        count=benchmark.count,
        subset=True,
        crop_target=benchmark.crop_target,
    )
    assert len(pairs) == found
    degraded, target = pairs[len(pairs) - 1]
    assert (degraded is None) == (benchmark.synthesis is not None)
    assert degraded is None or degraded.shape == target.shape
    assert target.std() > 5
