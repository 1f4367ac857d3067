"""The real training sets of the paper by name: where they come from, and how they lie on the disk as they unpack."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from defusion.layouts import Layout, LayoutError, PairPaths, describe, find_root, is_named, pair_up

ROOTS = "DEFUSION_DATA"
"""The environment variable with the folders that hold data sets, joined as those of PATH are."""

_GENERIC = (Layout("train/target/{name}", "train/input/{name}"), Layout("target/{name}", "input/{name}"))
"""Pairs as anyone may lay them out."""


@dataclass(frozen=True)
class TrainingSet:
    """One training set.

    Attributes:
        name: what a configuration calls it.
        task: the degradations of its inputs, "rain+noise".
        home: where it is distributed.
        folders: names of its folder, in any case, "-", "_" and " " not told apart.
        layouts: accepted layouts, those of `defusion.layouts`; the first that finds pictures counts.
    """

    name: str
    task: str
    home: str
    folders: tuple[str, ...]
    layouts: tuple[Layout, ...]


_FIRST_FIFTY = tuple(f"{number:02d}" for number in range(1, 51))
"""Dense-Haze's pictures but for the last five, on which it is tested."""
_RAINDS = "https://github.com/Songforrr/RainDS_CCN"


def _rainds(kind: str, task: str, folder: str, prefix: str) -> TrainingSet:
    layouts = tuple(
        Layout(f"{start}train/gt/norain-{{name}}", f"{start}train/{folder}/{prefix}-{{name}}", spare=True)
        for start in ("RainDS_syn/", "RainDS_real/", "")
    )
    return TrainingSet(f"rainds_{kind}", task, _RAINDS, ("RainDS",), layouts)


TRAINING_SETS: Mapping[str, TrainingSet] = {
    own.name: own
    for own in (
        TrainingSet(
            "rain1400",
            "rain",
            "https://xueyangfu.github.io/projects/cvpr2017.html",
            ("Rain1400", "rainy_image_dataset", "DDN"),
            (
                Layout("training/ground_truth/{scene}", "training/rainy_image/{scene}_{number}"),
                Layout("train/target/{name}", "train/input/{name}"),
            ),
        ),
        TrainingSet(
            "outdoor_rain",
            "rain+haze",
            "https://github.com/liruoteng/HeavyRainRemoval",
            ("Outdoor-Rain", "Outdoor_Rain", "outdoor-rain"),
            (Layout("gt/{name}", "in/{name}_s{strength}_a{angle}"), *_GENERIC),
        ),
        TrainingSet(
            "lhp",
            "rain",
            "https://github.com/yunguo224/LHP-Rain",
            ("LHP", "LHP-Rain"),
            (
                Layout("train/gt/{scene}/{name}", "train/input/{scene}/{name}"),
                Layout("train/gt/{name}", "train/input/{name}"),
                *_GENERIC,
            ),
        ),
        TrainingSet(
            "reside",
            "haze",
            "https://sites.google.com/view/reside-dehaze-datasets",
            ("RESIDE", "ITS", "OTS"),
            (
                Layout("ITS/clear/{name}", "ITS/hazy/{name}_{number}_{beta}"),
                Layout("OTS/clear/{name}", "OTS/haze/{name}_{airlight}_{beta}"),
                Layout("clear/{name}", "hazy/{name}_{number}_{beta}"),
                Layout("clear/{name}", "haze/{name}_{airlight}_{beta}"),
                *_GENERIC,
            ),
        ),
        TrainingSet(
            "dense_haze",
            "haze",
            "https://data.vision.ee.ethz.ch/cvl/ntire19/dense-haze/",
            ("Dense-Haze", "Dense_Haze_NTIRE19"),
            (Layout("GT/{name}_GT", "hazy/{name}_hazy", only=_FIRST_FIFTY), *_GENERIC),
        ),
        TrainingSet(
            "snow100k",
            "snow",
            "https://sites.google.com/view/yunfuliu/desnownet",
            ("Snow100K", "Snow100K-training"),
            (
                Layout("**/all/gt/{name}", "**/all/synthetic/{name}"),
                Layout("train/gt/{name}", "train/synthetic/{name}"),
                *_GENERIC,
            ),
        ),
        TrainingSet(
            "realsnow",
            "snow",
            "https://github.com/zhuyr97/WGWS-Net",
            ("RealSnow",),
            (Layout("train/gt/{name}", "train/input/{name}"), Layout("training/gt/{name}", "training/input/{name}")),
        ),
        TrainingSet(
            "raindrop",
            "raindrop",
            "https://github.com/rui1996/DeRaindrop",
            ("RainDrop", "raindrop_data"),
            (Layout("train/gt/{name}_clean", "train/data/{name}_rain"), *_GENERIC),
        ),
        _rainds("streaks", "rain", "rainstreak", "rs"),
        _rainds("drops", "raindrop", "raindrop", "rd"),
        _rainds("both", "rain+raindrop", "rainstreak_raindrop", "rd-rs"),
        TrainingSet(
            "sidd",
            "noise",
            "https://abdokamel.github.io/sidd/",
            ("SIDD", "SIDD_Medium_Srgb"),
            (
                Layout("**/Data/{scene}/{id}_GT_SRGB_{number}", "**/Data/{scene}/{id}_NOISY_SRGB_{number}"),
                Layout("Data/{scene}/GT_SRGB_{number}", "Data/{scene}/NOISY_SRGB_{number}"),
                *_GENERIC,
            ),
        ),
        TrainingSet(
            "gopro",
            "motion_blur",
            "https://seungjunnah.github.io/Datasets/gopro",
            ("GoPro", "GOPRO_Large"),
            (Layout("train/{scene}/sharp/{name}", "train/{scene}/blur/{name}"), *_GENERIC),
        ),
        TrainingSet(
            "realblur_j",
            "motion_blur",
            "https://cg.postech.ac.kr/research/realblur/",
            ("RealBlur", "RealBlur_J", "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"),
            (
                Layout("{scene}/gt/{gt}", "{scene}/blur/{blur}", listing="RealBlur_J_train_list.txt"),
                Layout("**/{scene}/gt/{gt}", "**/{scene}/blur/{blur}", listing="RealBlur_J_train_list.txt"),
                *_GENERIC,
            ),
        ),
        TrainingSet(
            "dpdd",
            "defocus_blur",
            "https://github.com/Abdullah-Abuolaim/defocus-deblurring-dual-pixel",
            ("DPDD", "dd_dp_dataset_canon"),
            (
                Layout("**/train_c/target/{name}", "**/train_c/source/{name}", by_order=True),
                Layout("train_c/target/{name}", "train_c/source/{name}", by_order=True),
                *_GENERIC,
            ),
        ),
    )
}
"""The thirteen sets of the paper (RainDS as its three kinds), in the order of its section on data."""


class TrainingSetError(ValueError):
    """A training set that is not there, or not as it should be; says where it comes from and what to do."""


def find_training_pairs(name: str, folder: str = "") -> tuple[str, list[PairPaths]]:
    """The task and the pairs of a training set.

    Args:
        name: of `TRAINING_SETS`.
        folder: of the set, or one that holds it; those of the environment variable DEFUSION_DATA when not given.

    Raises:
        TrainingSetError: for an unknown name, a set that is not there, or one with pictures without partners.
    """
    if name not in TRAINING_SETS:
        raise TrainingSetError(f"pairs: expected a set among {', '.join(TRAINING_SETS)}, got {name!r}")
    own = TRAINING_SETS[name]
    root = _find(own, folder)
    try:
        pairing = pair_up(root, own.layouts)
    except LayoutError as error:
        raise TrainingSetError(f"training set {name} (from {own.home}): {error}") from error
    if pairing.faults:
        raise TrainingSetError(f"training set {name}: {root}: {'; '.join(describe(pairing.faults))}")
    return own.task, pairing.pairs


def _find(own: TrainingSet, folder: str) -> Path:
    """The folder of a set."""
    places: Sequence[str] = (
        [folder] if folder else [part for part in os.environ.get(ROOTS, "").split(os.pathsep) if part]
    )
    for place in places:
        if Path(place).is_dir():
            root = find_root(Path(place), own.folders)
            if folder or root != Path(place) or is_named(root, own.folders):
                return root
    looked = ", ".join(place if Path(place).is_dir() else f"{place} (no such folder)" for place in places)
    looked = looked or f"no folder: set {ROOTS} to those that hold data sets, joined by {os.pathsep!r}"
    raise TrainingSetError(
        f"training set {own.name}: expected a folder {' or '.join(own.folders)} in {looked}; it comes from {own.home}"
    )
