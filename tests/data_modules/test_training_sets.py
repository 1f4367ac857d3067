"""The paper's training sets as they unpack, found by name below the folders of an environment variable."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from data_modules.pairs import PairedFiles, PairSource
from data_modules.restoration import RestorationDataModule
from data_modules.training_sets import ROOTS, TRAINING_SETS, TrainingSetError, find_training_pairs

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"

UNPACKED: Mapping[str, tuple[str, Sequence[str], Sequence[str], int]] = {
    "rain1400": ("DDN/training", ["ground_truth/1.jpg"], ["rainy_image/1_1.jpg", "rainy_image/1_14.jpg"], 2),
    "outdoor_rain": ("Outdoor-Rain", ["gt/im_0001.png"], ["in/im_0001_s80_a04.png", "in/im_0001_s95_a05.png"], 2),
    "lhp": ("LHP-Rain/train", ["gt/7/a.png"], ["input/7/a.png"], 1),
    "reside": ("RESIDE/OTS", ["clear/0001.jpg"], ["haze/0001_0.8_0.04.jpg", "haze/0001_1_0.2.jpg"], 2),
    "dense_haze": ("Dense-Haze", ["GT/01_GT.png", "GT/51_GT.png"], ["hazy/01_hazy.png", "hazy/51_hazy.png"], 1),
    "snow100k": ("Snow100K/all", ["gt/a.jpg"], ["synthetic/a.jpg"], 1),
    "realsnow": ("RealSnow/train", ["gt/a.png"], ["input/a.png"], 1),
    "raindrop": ("raindrop_data/train", ["gt/0_clean.png"], ["data/0_rain.png"], 1),
    "rainds_streaks": ("RainDS/RainDS_syn/train", ["gt/norain-1.png"], ["rainstreak/rs-1.png"], 1),
    "rainds_drops": ("RainDS/RainDS_syn/train", ["gt/norain-1.png"], ["raindrop/rd-1.png"], 1),
    "rainds_both": ("RainDS/RainDS_syn/train", ["gt/norain-1.png"], ["rainstreak_raindrop/rd-rs-1.png"], 1),
    "sidd": (
        "SIDD_Medium_Srgb/Data/0001_001_S6",
        ["0001_GT_SRGB_010.PNG", "0001_GT_SRGB_011.PNG"],
        ["0001_NOISY_SRGB_010.PNG", "0001_NOISY_SRGB_011.PNG"],
        2,
    ),
    "gopro": ("GOPRO_Large/train/GOPR0372_07_00", ["sharp/000047.png"], ["blur/000047.png"], 1),
    "realblur_j": ("RealBlur/scene001", ["gt/gt_1.png"], ["blur/blur_1.png"], 1),
    "dpdd": ("dd_dp_dataset_canon/train_c", ["target/1P0A0917.png"], ["source/1P0A0916.png"], 1),
}
"""Folder, references and degraded pictures of each as it unpacks, and the number of its pairs for training."""


def unpack(root: Path, name: str) -> None:
    folder, targets, inputs, _ = UNPACKED[name]
    for number, file in enumerate((*targets, *inputs)):
        path = root / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.full((40, 48, 3), 10 * number, np.uint8)
        Image.fromarray(picture).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG")
    if name == "realblur_j":
        (root / "RealBlur" / "RealBlur_J_train_list.txt").write_text("scene001/gt/gt_1.png scene001/blur/blur_1.png\n")


@pytest.mark.parametrize("name", TRAINING_SETS)
def test_a_set_is_found_as_it_unpacks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(tmp_path / "second", name)
    (tmp_path / "first").mkdir()
    monkeypatch.setenv(ROOTS, f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    task, pairs = find_training_pairs(name)
    assert task == TRAINING_SETS[name].task
    assert len(pairs) == UNPACKED[name][3]
    opened = PairSource(set=name).open()
    assert isinstance(opened, PairedFiles)
    assert opened.task == task
    degraded, clean = opened[0]
    assert degraded.shape == clean.shape == (40, 48, 3)
    assert (degraded != clean).any()


def test_all_of_them_have_a_place_in_the_papers_preset() -> None:
    settings = yaml.safe_load((EXPERIMENTS / "diffusion" / "paper.yaml").read_text())["data"]["init_args"]
    assert {own["set"] for own in settings["pairs"]} == set(TRAINING_SETS)
    shares: dict[str, float] = {}
    for own in settings["pairs"]:
        kind = re.split(r"\+", TRAINING_SETS[own["set"]].task)[0]
        shares[kind] = shares.get(kind, 0) + own.get("weight", 1.0)
    assert shares == pytest.approx(dict.fromkeys(shares, 1.0)), "every task as often"
    assert settings["synthetic_weight"] == 0


def test_a_set_that_is_not_there_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ROOTS, raising=False)
    with pytest.raises(TrainingSetError, match=r"set DEFUSION_DATA .*; it comes from https://seungjunnah"):
        find_training_pairs("gopro")
    monkeypatch.setenv(ROOTS, str(tmp_path))
    with pytest.raises(TrainingSetError, match="expected a folder GoPro or GOPRO_Large"):
        find_training_pairs("gopro")
    with pytest.raises(TrainingSetError, match="expected a set among rain1400"):
        find_training_pairs("gropro")
    monkeypatch.setenv(ROOTS, f"{tmp_path}{os.pathsep}{tmp_path / 'none'}")
    with pytest.raises(TrainingSetError, match=rf"in {tmp_path}, {tmp_path}/none \(no such folder\); it comes from"):
        find_training_pairs("gopro")
    (tmp_path / "GoPro" / "train").mkdir(parents=True)
    with pytest.raises(TrainingSetError, match="expected one of these layouts"):
        find_training_pairs("gopro")


def test_pictures_without_partners_are_named(tmp_path: Path) -> None:
    unpack(tmp_path, "gopro")
    (tmp_path / "GOPRO_Large/train/GOPR0372_07_00/sharp/000047.png").rename(
        tmp_path / "GOPRO_Large/train/GOPR0372_07_00/sharp/000048.png"
    )
    with pytest.raises(TrainingSetError, match=r"without a reference .*000047"):
        find_training_pairs("gopro", str(tmp_path))


@pytest.mark.parametrize("options", [{}, {"folder": "x"}, {"task": "rain"}])
def test_a_source_of_pairs_is_a_folder_with_a_task_or_a_set(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a folder and its task, or a set by name"):
        PairSource(**options)  # type: ignore[arg-type]


def test_the_papers_samples_are_its_pairs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gopro", "dpdd"):
        unpack(tmp_path, name)
    monkeypatch.setenv(ROOTS, str(tmp_path))
    data = RestorationDataModule(
        pairs=[PairSource(set="gopro"), PairSource(set="dpdd")],
        synthetic_weight=0,
        crop_size=32,
        batch_size=8,
        workers=0,
    )
    data.setup("fit")
    tasks = {task for number in range(40) for task in [data.training[number]["task"]]}
    assert tasks == {"motion_blur", "defocus_blur"}
