"""Evaluation: the pictures of a task, and the scores of their restorations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from defusion.degradations.standard import degrade
from defusion.evaluation.metrics import Perceptual, TaskMetrics, TaskResult
from defusion.evaluation.tasks import SEED


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


def score(task: str, restorations: Iterable[tuple[Pair, Tensor]], perceptual: Perceptual | None = None) -> TaskResult:
    """Scores each picture by itself, rounded to 8 bits as it would be saved.

    Args:
        task: its name.
        restorations: pairs of any sizes, each with its restoration (3, H, W); drawn one by one.
        perceptual: the LPIPS distance; left out when not given.

    Raises:
        ValueError: without any picture.
    """
    metrics = TaskMetrics(perceptual, eight_bit=True)
    for pair, restored in restorations:
        metrics.update(pair.lq[None], restored[None], pair.hq[None], [task])
    results = metrics.compute()
    if not results:
        raise ValueError(f"task {task}: expected at least one picture to restore, got none")
    return results[task]


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
