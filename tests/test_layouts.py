"""Every test set is found in every layout that is accepted, and what is wrong with a folder is said."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from defusion.evaluation.benchmarks import BENCHMARKS, Benchmark
from defusion.layouts import Layout, LayoutError, PairPaths, find_pairs, find_root, pair_up
from defusion.patterns import ARRAYS, names_in

PAIRS = Layout("target/{name}", "input/{name}")


def make(root: Path, files: Iterable[str]) -> Path:
    """Empty files: a layout looks at names alone."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def found(root: Path, pairs: Iterable[PairPaths]) -> list[tuple[str, str, str]]:
    """Name, target and input of each pair, below the root."""

    def below(path: Path | None) -> str:
        return path.relative_to(root).as_posix() if path else ""

    return [(pair.name, below(pair.target), below(pair.input)) for pair in pairs]


@dataclass
class Tree:
    """The files of a layout, by its own patterns, and the pairs that they are."""

    layout: Layout
    pairs: set[tuple[str, str]] = field(default_factory=set)
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        only = self.layout.only
        for sample in (0, 1):
            self._add({name: f"{name}{sample}" for name in names_in(self.layout.target)}, only[sample:])
        if only:
            self.others = [*self._files({names_in(self.layout.target)[0]: "outside"})]

    def _add(self, names: dict[str, str], only: tuple[str, ...]) -> None:
        first = next(iter(names), "")
        names |= {first: only[0]} if only else {}
        extra = [name for name in names_in(self.layout.input or "") if name not in names]
        for variant in ("x", "y")[: 2 if extra else 1]:
            self.pairs.add(self._files(names | dict.fromkeys(extra, variant)))

    def _files(self, names: dict[str, str]) -> tuple[str, str]:
        return _fill(self.layout.target, names), _fill(self.layout.input or "", names)

    def write(self, root: Path) -> Path:
        """Makes the files, and the listing."""
        make(root, {file for pair in self.pairs for file in pair if file} | {file for file in self.others if file})
        if self.layout.listing:
            (root / self.layout.listing).write_text("\n".join(" ".join(pair) for pair in sorted(self.pairs)) + "\n")
        return root


def _fill(pattern: str, names: dict[str, str]) -> str:
    if not pattern or pattern.endswith(ARRAYS):
        return pattern
    return pattern.replace("**/", "some/folders/").format(**names) + ".png"


@pytest.mark.parametrize(
    ("benchmark", "layout"),
    [
        pytest.param(benchmark, layout, id=f"{benchmark.name}-{number}")
        for benchmark in BENCHMARKS.values()
        for number, layout in enumerate(benchmark.layouts)
    ],
)
def test_every_layout_of_every_test_set_is_found_and_paired(
    benchmark: Benchmark, layout: Layout, tmp_path: Path
) -> None:
    tree = Tree(layout)
    root = tree.write(tmp_path / benchmark.folders[0].lower())
    chosen, pairs = find_pairs(find_root(tmp_path, benchmark.folders), benchmark.layouts)
    assert chosen == layout
    assert {(target, degraded) for _, target, degraded in found(root, pairs)} == tree.pairs
    assert len(pairs) == len({pair.name for pair in pairs}) == len(tree.pairs)


REAL: dict[str, dict[str, tuple[str, str]]] = {
    "gopro": {
        "GOPR0384_11_00/000001": ("test/GOPR0384_11_00/sharp/000001.png", "test/GOPR0384_11_00/blur/000001.png"),
        "GOPR0385_11_01/003011": ("test/GOPR0385_11_01/sharp/003011.png", "test/GOPR0385_11_01/blur/003011.png"),
    },
    "dpdd": {"1P0A0917": ("test_c/target/1P0A0916.png", "test_c/source/1P0A0917.png")},
    "raindrop": {"0_rain": ("test_a/gt/0_clean.png", "test_a/data/0_rain.png")},
    "snow100k_l": {
        "city_read_00001": (
            "media/jdway/GameSSD/overlapping/test/Snow100K-L/gt/city_read_00001.jpg",
            "media/jdway/GameSSD/overlapping/test/Snow100K-L/synthetic/city_read_00001.jpg",
        )
    },
    "rain1400": {
        "901_1": ("testing/ground_truth/901.jpg", "testing/rainy_image/901_1.jpg"),
        "901_14": ("testing/ground_truth/901.jpg", "testing/rainy_image/901_14.jpg"),
    },
    "sots_outdoor": {"0001_0.8_0.2": ("outdoor/gt/0001.png", "outdoor/hazy/0001_0.8_0.2.jpg")},
    "sots_indoor": {"1400_1": ("indoor/gt/1400.png", "indoor/hazy/1400_1.png")},
    "sidd": {"ValidationNoisyBlocksSrgb": ("ValidationGtBlocksSrgb.mat", "ValidationNoisyBlocksSrgb.mat")},
    "lol_v1": {"111": ("eval15/high/111.png", "eval15/low/111.png")},
    "dense_haze": {"51_hazy": ("GT/51_GT.png", "hazy/51_hazy.png")},
    "outdoor_rain": {"im_0001_s80_a04": ("gt/im_0001.png", "in/im_0001_s80_a04.png")},
    "hide": {
        "test-close-ups/100fromGOPR1014.MP4": (
            "GT/100fromGOPR1014.MP4.png",
            "test/test-close-ups/100fromGOPR1014.MP4.png",
        ),
        "test-long-shot/7fromGOPR0943": ("GT/7fromGOPR0943.png", "test/test-long-shot/7fromGOPR0943.png"),
    },
    "polyu": {
        "Canon5D2_5_160_6400_desk_7_real": (
            "CroppedImages/Canon5D2_5_160_6400_desk_7_mean.JPG",
            "CroppedImages/Canon5D2_5_160_6400_desk_7_real.JPG",
        )
    },
    "cdd11": {
        "haze_rain/00001": ("CDD-11_test/clear/00001.png", "CDD-11_test/haze_rain/00001.png"),
        "low/00001": ("CDD-11_test/clear/00001.png", "CDD-11_test/low/00001.png"),
    },
}
UNUSED = {
    "gopro": ["train/GOPR0372_07_00/sharp/000047.png", "test/GOPR0384_11_00/blur_gamma/000001.png"],
    "dpdd": ["train_c/source/1P0A0001.png", "test_l/source/1P0A0917.png"],
    "raindrop": ["test_b/data/1_rain.jpg"],
    "dense_haze": ["GT/01_GT.png", "hazy/01_hazy.png"],
    "hide": ["GT/1fromtrain.png", "train/1fromtrain.png"],
}


@pytest.mark.parametrize("name", REAL)
def test_published_paths_are_paired(name: str, tmp_path: Path) -> None:
    make(tmp_path, [*{file for pair in REAL[name].values() for file in pair}, *UNUSED.get(name, [])])
    _, pairs = find_pairs(tmp_path, BENCHMARKS[name].layouts)
    assert found(tmp_path, pairs) == [(sample, *files) for sample, files in REAL[name].items()]


def test_names_in_braces_are_known_of_each_pair(tmp_path: Path) -> None:
    make(tmp_path, [file for pair in REAL["cdd11"].values() for file in pair])
    _, pairs = find_pairs(tmp_path, BENCHMARKS["cdd11"].layouts)
    assert [pair.names for pair in pairs] == [
        {"degradation": "haze_rain", "name": "00001"},
        {"degradation": "low", "name": "00001"},
    ]


SCENE = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene230"


@pytest.mark.parametrize("folder", ["", "RealBlur_lists/"])
def test_a_listing_says_which_pictures_are_the_test_set(folder: str, tmp_path: Path) -> None:
    make(tmp_path, [f"{SCENE}/{kind}_{number}.png" for kind in ("gt/gt", "blur/blur") for number in (1, 2, 10)])
    (tmp_path / folder).mkdir(exist_ok=True)
    listing = tmp_path / folder / "RealBlur_J_test_list.txt"
    lines = [f"{SCENE}/gt/gt_{number}.png {SCENE}/blur/blur_{number}.png " for number in (10, 2)]
    listing.write_text("\n".join(lines) + "\n\n")
    _, pairs = find_pairs(tmp_path, BENCHMARKS["realblur_j"].layouts)
    assert found(tmp_path, pairs) == [
        (f"scene230/blur_{number}", f"{SCENE}/gt/gt_{number}.png", f"{SCENE}/blur/blur_{number}.png")
        for number in (2, 10)
    ]
    listing.write_text("\n".join([*lines, f"{SCENE}/gt/gt_1.png {SCENE}/blur/blur_77.png", "alone"]))
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path, BENCHMARKS["realblur_j"].layouts)
    assert f"1 listed in {folder}RealBlur_J_test_list.txt but missing ({SCENE}/blur/blur_77.png)" in str(caught.value)
    assert f"1 lines of the list without two paths ({folder}RealBlur_J_test_list.txt:4)" in str(caught.value)
    listing.unlink()
    with pytest.raises(LayoutError, match=r"as listed in RealBlur_J_test_list.txt: 3 references, 3 degraded, no list"):
        find_pairs(tmp_path, BENCHMARKS["realblur_j"].layouts)


def test_paths_of_a_listing_may_start_beside_it(tmp_path: Path) -> None:
    make(tmp_path, ["set/scene1/gt/gt_1.png", "set/scene1/blur/blur_1.png"])
    (tmp_path / "set/RealBlur_J_test_list.txt").write_text("scene1/gt/gt_1.png scene1/blur/blur_1.png")
    _, pairs = find_pairs(tmp_path, BENCHMARKS["realblur_j"].layouts)
    assert [pair.name for pair in pairs] == ["scene1/blur_1"]


def test_pairs_come_in_natural_order_whatever_the_suffix(tmp_path: Path) -> None:
    make(tmp_path, [f"input/{number}.JPG" for number in (10, 9, 100, 1)])
    make(tmp_path, [f"target/{number}.png" for number in (10, 9, 100, 1)] + ["target/._10.png", "target/notes.txt"])
    layout, pairs = find_pairs(tmp_path, [PAIRS])
    assert layout == PAIRS
    assert [pair.name for pair in pairs] == ["1", "9", "10", "100"]
    assert pairs[1] == PairPaths("9", tmp_path / "target/9.png", tmp_path / "input/9.JPG", {"name": "9"})


def test_names_that_differ_on_both_sides_pair_by_order_where_a_layout_says_so(tmp_path: Path) -> None:
    layout = Layout("target/{name}", "source/{name}", by_order=True)
    make(tmp_path, ["target/8.png", "target/10.png", "source/9.png", "source/11.png"])
    _, pairs = find_pairs(tmp_path, [layout])
    assert found(tmp_path, pairs) == [
        ("9", "target/8.png", "source/9.png"),
        ("11", "target/10.png", "source/11.png"),
    ]
    make(tmp_path, ["target/12.png"])
    with pytest.raises(LayoutError, match=r"2 degraded pictures against 3 references, which are paired by order"):
        find_pairs(tmp_path, [layout])
    make(tmp_path, ["source/8.png"])
    with pytest.raises(LayoutError, match=r"2 degraded pictures without a reference \(source/9.png, source/11.png\)"):
        find_pairs(tmp_path, [layout])


def test_missing_partners_are_all_counted_and_some_named(tmp_path: Path) -> None:
    make(tmp_path, [f"input/{number}.png" for number in range(12)] + ["target/3.png", "target/77.png"])
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path, [PAIRS])
    message = str(caught.value)
    assert f"{tmp_path}, read as target/{{name}} with input/{{name}}" in message
    assert "11 degraded pictures without a reference (input/0.png, input/1.png, input/2.png, ...)" in message
    assert "1 references without a degraded picture (target/77.png)" in message
    pairing = pair_up(tmp_path, [PAIRS])
    assert [pair.name for pair in pairing.pairs] == ["3"]
    assert len(pairing.faults) == 2


def test_ambiguous_names_are_an_error(tmp_path: Path) -> None:
    make(tmp_path, ["input/1.png", "input/1.jpg", "input/2.png", "target/1.png", "target/2.png", "target/2.BMP"])
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path, [PAIRS])
    assert "1 references of one name (target/2.BMP and target/2.png)" in str(caught.value)
    assert "1 pictures of one name (input/1.jpg and input/1.png)" in str(caught.value)
    twice = make(tmp_path / "twice", ["a/test_c/target/1.png", "b/test_c/target/1.png", "a/test_c/source/1.png"])
    with pytest.raises(LayoutError, match="1 references of one name"):
        find_pairs(twice, BENCHMARKS["dpdd"].layouts)


def test_a_wrong_layout_is_told_what_is_expected_and_what_was_found(tmp_path: Path) -> None:
    make(tmp_path, ["target/1.png", "noisy/1.png", "readme.txt"])
    with pytest.raises(LayoutError) as caught:
        find_pairs(tmp_path, BENCHMARKS["dense_haze"].layouts)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: expected one of these layouts (references with degraded pictures, without suffix), "
        "found among 3 files:",
        "  GT/{name}_GT with hazy/{name}_hazy, 51 to 55 only: 0 references, 0 degraded",
        "  target/{name} with input/{name}: 1 references, 0 degraded",
        "  test/target/{name} with test/input/{name}: 0 references, 0 degraded",
    ]


@pytest.mark.parametrize("benchmark", [BENCHMARKS["gopro"], BENCHMARKS["live1"]], ids=lambda benchmark: benchmark.name)
def test_an_empty_folder_has_no_layout(benchmark: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="found among 0 files"):
        find_pairs(tmp_path, benchmark.layouts)


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for search in (lambda path: find_pairs(path, [PAIRS]), lambda path: find_root(path, ["GoPro"])):
        with pytest.raises(LayoutError, match=r"nowhere: expected a folder, not found"):
            search(tmp_path / "nowhere")
        with pytest.raises(LayoutError, match=r"file: expected a folder, found a file"):
            search(tmp_path / "file")


@pytest.mark.parametrize("name", ["Dense-Haze", "dense_haze", "DENSE HAZE", "dense-haze"])
def test_a_root_is_searched_for_the_set_by_any_of_its_names(name: str, tmp_path: Path) -> None:
    make(tmp_path, [f"{name}/GT/51_GT.png", "NH-HAZE/51_GT.png"])
    assert find_root(tmp_path, BENCHMARKS["dense_haze"].folders) == tmp_path / name
    assert find_root(tmp_path / name, BENCHMARKS["dense_haze"].folders) == tmp_path / name


def test_the_first_name_counts_and_one_name_twice_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, ["GOPRO_Large/a", "gopro/a", "Set/a", "file"])
    assert find_root(tmp_path, ["GoPro", "GOPRO_Large"]) == tmp_path / "gopro"
    assert find_root(tmp_path, ["GOPRO_Large", "GoPro"]) == tmp_path / "GOPRO_Large"
    assert find_root(tmp_path, ["file"]) == tmp_path
    make(tmp_path, ["GoPro/a"])
    with pytest.raises(LayoutError, match="holds GoPro and gopro; give the one that is meant"):
        find_root(tmp_path, ["GoPro"])


def test_the_order_does_not_depend_on_that_of_the_files(tmp_path: Path) -> None:
    names = [f"s{scene}/{number}" for scene in (10, 2) for number in (3, 20, 1)]
    layout = Layout("{scene}/sharp/{name}", "{scene}/blur/{name}")
    for number, order in enumerate((names, names[::-1])):
        root = tmp_path / str(number)
        make(root, [name.replace("/", f"/{side}/") + ".png" for name in order for side in ("sharp", "blur")])
        ordered = ["s2/1", "s2/3", "s2/20", "s10/1", "s10/3", "s10/20"]
        assert [pair.name for pair in find_pairs(root, [layout])[1]] == ordered
