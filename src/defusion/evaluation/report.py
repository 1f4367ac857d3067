"""How results are shown: a table, a JSON file, a grid of pictures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.table import Table
from torch import Tensor
from torch.nn.functional import pad

from defusion.evaluation.metrics import Scores
from defusion.evaluation.scoring import TaskResult
from defusion.files import replacing
from defusion.types import Image


def summary_table(results: Mapping[str, TaskResult], title: str = "Restoration") -> Table:
    """A rich table with a row a task, then the mean over tasks where there is more than one."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    names = tuple(next(iter(results.values())).input) if results else ("psnr", "ssim")
    table.add_column("task", min_width=max(map(len, results), default=4))
    table.add_column("images", justify="right")
    for side in ("input", "restored"):
        for name in names:
            table.add_column(f"{side}\n{name.upper()}", justify="right")
    table.add_column("gain\ndB", justify="right")

    for task, result in results.items():
        table.add_row(task, str(result.num_images), *_cells(result.input, result.restored))
    if len(results) > 1:
        table.add_section()
        before, after = [result.input for result in results.values()], [r.restored for r in results.values()]
        means = ({name: sum(own[name] for own in side) / len(side) for name in names} for side in (before, after))
        images = sum(result.num_images for result in results.values())
        table.add_row("mean", str(images), *_cells(*means), style="bold")
    return table


def _cells(before: Scores, after: Scores) -> list[str]:
    digits = {name: 2 if name.startswith("psnr") else 4 for name in before}
    values = [f"{side[name]:.{digits[name]}f}" for side in (before, after) for name in side]
    gain = after["psnr"] - before["psnr"]
    colour = "green" if gain > 0 else "red" if gain < 0 else "default"
    return [*values, f"[{colour}]{gain:+.2f}[/]"]


def results_as_dict(results: Mapping[str, TaskResult]) -> dict[str, Any]:
    """`{"tasks": {name: {"num_images", "input": {psnr, ssim}, "restored": {psnr, ssim}}}}` for JSON."""
    return {
        "tasks": {
            task: {
                "num_images": result.num_images,
                "input": dict(result.input),
                "restored": dict(result.restored),
            }
            for task, result in results.items()
        }
    }


def write_json(path: Path | str, data: Any) -> None:
    """Writes `data` so that `path` holds either the old or the whole new text, also after a crash.

    Raises:
        ValueError: for NaN and infinity, which JSON does not have; `path` is left as it is.
    """
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def write_text(path: Path | str, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all; missing folders are made."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def image_grid(*columns: Image, gap: int = 2) -> Tensor:
    """A picture with a row a sample and a column an argument, for TensorBoard.

    Args:
        columns: (B, 3, H, W) each, all of one shape, clamped to [0, 1] here.
        gap: the white lines between pictures, in px.

    Returns:
        (3, B * (H + gap) + gap, columns * (W + gap) + gap) in [0, 1].
    """
    cells = torch.stack([column.detach().float().clamp(0, 1) for column in columns], dim=1)
    cells = pad(cells, (0, gap, 0, gap), value=1.0)
    grid = cells.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return pad(grid, (gap, 0, gap, 0), value=1.0)
