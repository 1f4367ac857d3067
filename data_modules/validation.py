"""Held-out photographs under every task, at the fixed strengths of `defusion eval`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from data_modules.crops import CropDataset
from defusion.degradations.standard import degrade
from defusion.grounds.chart import Chart
from defusion.imageio import eight_bit
from defusion.instruction import NULL, VisualInstruction
from defusion.types import Batch, Image, Mode

SEED = 0
"""Of what validation pictures are degraded by."""


class ValidationDataset(Dataset[dict[str, Any]]):
    """Each crop under each task in turn.

    An item is {"hq": uint8 (3, S, S), "index": number of the crop, "task": name}.
    """

    def __init__(self, crops: CropDataset, count: int, tasks: Sequence[str]) -> None:
        self.crops, self.count, self.tasks = crops, count, tuple(tasks)

    def __len__(self) -> int:
        return self.count * len(self.tasks)

    def __getitem__(self, position: int) -> dict[str, Any]:
        crop, task = divmod(position, len(self.tasks))
        return {"hq": self.crops[crop]["hq"], "index": crop, "task": self.tasks[task]}


def validation_batch(hq: Image, index: Sequence[int], task: Sequence[str], chart: Chart) -> Batch:
    """Degrades hq by the standard test of each sample's task, key (SEED, index); "clean" leaves it as it is.

    It is drawn on the CPU, the same whatever trains, also with another seed; the instruction shows it on the canonical
    chart.
    """
    pictures = [
        row[None] if name == NULL else degrade(row[None], name, SEED, number)
        for row, number, name in zip(hq.cpu(), index, task, strict=True)
    ]
    instructions = {name: VisualInstruction.named(name, chart, SEED) for name in set(task)}
    shown = [instructions[name] for name in task]
    lq = eight_bit(torch.cat(pictures)).to(hq.device)
    ground = torch.cat([one.ground for one in shown]).to(hq.device)
    instruction = torch.cat([one.picture for one in shown]).to(hq.device)
    modes = (Mode.TYPE_MATCHED,) * len(hq)
    return Batch(hq, lq, hq, ground, instruction, tuple(task), tuple(task), modes)
