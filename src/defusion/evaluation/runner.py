"""Evaluation: restores every picture of a task and scores it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from defusion.degradations.standard import degrade
from defusion.evaluation.metrics import Perceptual, TaskMetrics, TaskResult
from defusion.evaluation.tasks import SEED
from defusion.types import Image

Restore: TypeAlias = Callable[[Image], Image]


@dataclass(frozen=True)
class Pair:
    """One picture to restore and what it should become, (3, H, W) each in [0, 1], rounded to 8 bits."""

    lq: Tensor
    hq: Tensor


def synthetic_pairs(pictures: Iterable[Tensor], task: str) -> Iterator[Pair]:
    """Clean pictures (3, H, W) under the standard degradation; picture i by the key (SEED, i), saved in 8 bits."""
    for number, hq in enumerate(pictures):
        lq = degrade(hq[None], task, SEED, number)[0]
        yield Pair(lq.mul(255).round().div(255), hq)


def evaluate(
    task: str, pairs: Iterable[Pair], restore: Restore, perceptual: Perceptual | None = None
) -> tuple[TaskResult, Sequence[Tensor]]:
    """Restores and scores each pair by itself, rounded to 8 bits as it would be saved.

    Args:
        task: its name.
        pairs: pictures of any sizes.
        restore: (1, 3, H, W) -> the same.
        perceptual: the LPIPS distance; left out when not given.

    Returns:
        The scores, and the restored pictures (3, H, W).
    """
    metrics = TaskMetrics(perceptual, eight_bit=True)
    restorations = []
    for pair in pairs:
        restored = restore(pair.lq[None])
        metrics.update(pair.lq[None], restored, pair.hq[None], [task])
        restorations.append(restored[0])
    if not restorations:
        raise ValueError(f"task {task}: expected at least one picture to restore, got none")
    return metrics.compute()[task], restorations


def result_as_dict(task: str, protocol: str, result: TaskResult, weights: Path, steps: int) -> dict[str, Any]:
    """One task's result for JSON, with what is needed to take it again."""
    return {
        "task": task,
        "protocol": protocol,
        "num_images": result.num_images,
        "input": dict(result.input),
        "restored": dict(result.restored),
        "per_image": [{"input": dict(scores.input), "restored": dict(scores.restored)} for scores in result.per_image],
        "weights": str(weights),
        "steps": steps,
    }
