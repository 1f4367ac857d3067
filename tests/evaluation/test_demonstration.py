"""The demonstration: what it measures, writes and draws."""

import json
from pathlib import Path

import pytest
import torch

from data_modules.clean import open_clean
from defusion.degradations.library import NAMES
from defusion.diffusion.model import Defusion
from defusion.evaluation.demonstration import demonstrate, mean_gain
from defusion.evaluation.scoring import ImageScores, TaskResult
from defusion.evaluation.tasks import degradation
from defusion.evaluation.testset import TestSet
from defusion.imageio import read_image, write_png
from defusion.restore.restorer import Restorer


def test_the_demonstration_writes_every_degradation(model: Defusion, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    for name in "ab":
        write_png(tmp_path / "photographs" / f"{name}.png", torch.rand(3, 24, 32, generator=draw))
    photographs = open_clean(str(tmp_path / "photographs"))
    tests = {name: TestSet(degradation(name), photographs) for name in NAMES}
    demonstrate(Restorer(model, "cpu"), tests, tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found["tasks"]) == set(found["null_change"]) == set(NAMES)
    assert all(result["num_images"] == 2 for result in found["tasks"].values())
    gains = [own["restored"]["psnr"] - own["input"]["psnr"] for own in found["tasks"].values()]
    assert max(found["mean_gain"].values()) == found["mean_gain"][str(found["steps"])]
    assert found["mean_gain"][str(found["steps"])] == pytest.approx(sum(gains) / len(gains))
    assert found["mean_null_change"] == pytest.approx(sum(found["null_change"].values()) / len(NAMES))
    height, width, _ = read_image(tmp_path / "gallery.png").shape
    assert height > len(NAMES) * 24
    assert width > 3 * 32


def test_the_mean_gain_is_over_tasks() -> None:
    def result(before: float, after: float) -> TaskResult:
        scores = ImageScores({"psnr": before, "ssim": 0.5}, {"psnr": after, "ssim": 0.5})
        return TaskResult(scores.input, scores.restored, (scores,))

    assert mean_gain({"rain": result(20, 26), "jpeg": result(30, 29)}) == pytest.approx(2.5)
