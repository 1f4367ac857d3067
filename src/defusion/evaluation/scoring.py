"""Scores gathered by task: of every picture by itself, and their means."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from defusion.evaluation.metrics import Perceptual, Scores
from defusion.evaluation.protocol import Protocol
from defusion.types import Image

FLOATS = Protocol(eight_bit=False, extra=("lpips",))
"""Pictures as the network gives them, while it trains: RGB on clipped floats, LPIPS where it is given."""

_NAME_BYTES = 128


class ImageScores(NamedTuple):
    """The scores of one picture."""

    input: Scores
    """Of the degraded picture as it came."""
    restored: Scores


class TaskResult(NamedTuple):
    """The mean over the pictures of one task of their own scores."""

    input: Scores
    restored: Scores
    per_image: tuple[ImageScores, ...]
    """In the order in which they were added, rank by rank."""

    @property
    def num_images(self) -> int:
        """The number of pictures behind the means."""
        return len(self.per_image)

    @property
    def psnr_gain(self) -> float:
        """PSNR of the restoration less that of the input, in dB."""
        return self.restored["psnr"] - self.input["psnr"]


class TaskMetrics(Metric):
    """The scores of input and restoration for each task by one protocol, mean over pictures.

    Every picture is scored by itself and kept with its task's name, so that a batch may mix tasks and
    the processes of a distributed run may see different ones.

    Args:
        perceptual: the LPIPS distance, for a protocol with "lpips"; left out when not given.
        protocol: which scores are taken, and how.

    Attributes:
        names: of the scores, in order, `protocol.names`.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, perceptual: Perceptual | None = None, protocol: Protocol = FLOATS) -> None:
        super().__init__()
        self.perceptual = perceptual
        self.protocol = protocol
        self.names = protocol.names(perceptual is not None)
        # One flat float state, a row a picture: the bytes of its task's name, then its scores. One state
        # keeps names and scores together when ranks are gathered; a rank without pictures adds nothing.
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, lq: Image, restored: Image, target: Image, tasks: Sequence[str]) -> None:
        """Adds a batch.

        Args:
            lq: the degraded pictures, (B, 3, H, W) in [0, 1].
            restored: the restorations, the same shape.
            target: the references, the same shape.
            tasks: the task of each picture, at most 128 bytes each.
        """
        if not len(lq) == len(restored) == len(target) == len(tasks):
            raise ValueError(
                "lq, restored, target, tasks: expected one of each a sample, "
                f"got {len(lq)}, {len(restored)}, {len(target)} and {len(tasks)}"
            )
        if not len(tasks):
            return
        names = torch.tensor([_encode(task) for task in tasks], dtype=torch.float32, device=lq.device)
        rows = torch.cat([names, self._scores(lq, target), self._scores(restored, target)], dim=1)
        self.rows.append(rows.flatten())

    def compute(self) -> dict[str, TaskResult]:
        """The result of each task, sorted by name; over all ranks in a distributed run."""
        rows = dim_zero_cat(self.rows) if len(self.rows) else torch.empty(0)
        width = _NAME_BYTES + 2 * len(self.names)
        pictures: dict[str, list[ImageScores]] = {}
        for row in rows.view(-1, width).tolist():
            task, scores = _decode(row[:_NAME_BYTES]), row[_NAME_BYTES:]
            before = dict(zip(self.names, scores[: len(self.names)], strict=True))
            after = dict(zip(self.names, scores[len(self.names) :], strict=True))
            pictures.setdefault(task, []).append(ImageScores(before, after))
        return {task: _summarise(pictures[task]) for task in sorted(pictures)}

    def _scores(self, prediction: Image, target: Image) -> Tensor:
        """(B, number of metrics)."""
        scores = self.protocol.scores(prediction, target, self.perceptual)
        return torch.stack([scores[name] for name in self.names], dim=1)


def _summarise(pictures: Sequence[ImageScores]) -> TaskResult:
    def mean(scores: Sequence[Scores]) -> Scores:
        return {name: sum(own[name] for own in scores) / len(scores) for name in scores[0]}

    return TaskResult(
        mean([picture.input for picture in pictures]),
        mean([picture.restored for picture in pictures]),
        tuple(pictures),
    )


def _encode(task: str) -> list[int]:
    name = task.encode()
    if not 0 < len(name) <= _NAME_BYTES:
        raise ValueError(f"tasks: expected names of 1 to {_NAME_BYTES} bytes, got {task!r}")
    return list(name.ljust(_NAME_BYTES, b"\0"))


def _decode(row: list[float]) -> str:
    return bytes(int(value) for value in row).rstrip(b"\0").decode()
