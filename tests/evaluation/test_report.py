import io
import json
import stat
from pathlib import Path

import pytest
import torch
from rich.console import Console

from defusion.evaluation.report import (
    image_grid,
    results_as_dict,
    summary_table,
    write_json,
)
from defusion.evaluation.scoring import ImageScores, TaskResult


def result(before: float, after: float, images: int) -> TaskResult:
    scores = ImageScores({"psnr": before, "ssim": 0.5}, {"psnr": after, "ssim": 0.75})
    return TaskResult(scores.input, scores.restored, (scores,) * images)


RESULTS = {"haze": result(12.0, 18.5, 2), "jpeg": result(25.0, 24.5, 3)}


def text(**results: TaskResult) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_a_row_a_task_and_the_mean_of_tasks() -> None:
    cells = {line.split()[0]: line.split() for line in text(**RESULTS).splitlines() if line.strip()}
    assert cells["haze"] == ["haze", "2", "12.00", "0.5000", "18.50", "0.7500", "+6.50"]
    assert cells["jpeg"] == ["jpeg", "3", "25.00", "0.5000", "24.50", "0.7500", "-0.50"]
    assert cells["mean"] == ["mean", "5", "18.50", "0.5000", "21.50", "0.7500", "+3.00"]


def test_a_single_task_has_no_mean_and_no_task_is_no_error() -> None:
    assert "mean" not in text(haze=RESULTS["haze"])
    assert "task" in text()


def test_names_are_not_cut_on_a_narrow_terminal() -> None:
    assert "motion_blur+defocus_blur" in text(**{"motion_blur+defocus_blur": RESULTS["haze"]})


def test_results_go_to_json(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "results.json"
    write_json(path, results_as_dict(RESULTS))
    found = json.loads(path.read_text())
    assert list(found["tasks"]) == ["haze", "jpeg"]
    assert found["tasks"]["haze"] == {
        "num_images": 2,
        "input": {"psnr": 12.0, "ssim": 0.5},
        "restored": {"psnr": 18.5, "ssim": 0.75},
    }


def test_json_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    old = path.read_text()
    for bad in ({"psnr": float("nan")}, {"psnr": float("inf")}, {"psnr": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, bad)

    def interrupted(self: Path, data: str, encoding: str) -> int:
        with self.open("w") as file:
            file.write(data[: len(data) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(OSError, match="disk full"):
        write_json(path, {"a": 2, "b": 3})
    assert path.read_text() == old
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_json_has_the_rights_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_json(tmp_path / "results.json", {})
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert len(modes) == 1


def test_the_grid_has_a_row_a_sample_and_a_column_a_kind() -> None:
    own = torch.Generator().manual_seed(0)
    lq, restored, target = (torch.rand(4, 3, 20, 30, generator=own) for _ in range(3))
    grid = image_grid(lq, restored + 1, target, gap=2)
    assert grid.shape == (3, 4 * 22 + 2, 3 * 32 + 2)
    assert torch.equal(grid[:, 2:22, 2:32], lq[0])
    assert torch.equal(grid[:, 24:44, 66:96], target[1])
    assert torch.equal(grid[:, :2], torch.ones(3, 2, 98))
    assert grid.max() == 1
