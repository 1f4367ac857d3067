"""PSNR and SSIM of single pictures, and their means per task."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from kornia.metrics import ssim as ssim_map
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.utilities import dim_zero_cat

from defusion.types import Image

Perceptual: TypeAlias = Callable[[Image, Image], Tensor]
"""LPIPS: the distance of two pictures in [0, 1], each (1, 3, H, W); `tokenizer.loss.PerceptualLoss` fits."""

Scores: TypeAlias = Mapping[str, float]
"""Metric -> value: "psnr" in dB, "ssim", and "lpips" where a backbone is at hand."""

MAX_PSNR = 100.0
"""What equal pictures count in a mean, in dB; their own PSNR is infinite."""

_WINDOW = 11
_NAME_BYTES = 128


def psnr(prediction: Image, target: Image, *, eight_bit: bool = False) -> Tensor:
    """Peak signal-to-noise ratio of each picture over its RGB values, infinite for equal pictures.

    Equals `skimage.metrics.peak_signal_noise_ratio(..., data_range=1)` of each pair.

    Args:
        prediction: (B, 3, H, W), clamped to [0, 1] here.
        target: the same shape, clamped alike.
        eight_bit: round both to the 256 levels of a PNG first.

    Returns:
        (B,) float32, in dB.
    """
    prediction, target = _comparable(prediction, target, eight_bit)
    return peak_signal_noise_ratio(prediction, target, data_range=1.0, dim=(1, 2, 3), reduction="none")


def ssim(prediction: Image, target: Image, *, eight_bit: bool = False) -> Tensor:
    """Structural similarity of each picture (Wang et al. 2004), mean of the three channels.

    Gaussian window of 11 px and sigma 1.5, averaged where the window lies inside the picture. Equals
    `skimage.metrics.structural_similarity(..., channel_axis=2, data_range=1, gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False)` of each pair.

    Args:
        prediction: (B, 3, H, W), H and W at least 11, clamped to [0, 1] here.
        target: the same shape, clamped alike.
        eight_bit: round both to the 256 levels of a PNG first.

    Returns:
        (B,) float32, at most 1.

    Raises:
        ValueError: for a picture smaller than the window.
    """
    prediction, target = _comparable(prediction, target, eight_bit)
    if min(prediction.shape[-2:]) < _WINDOW:
        raise ValueError(
            f"prediction: expected at least {_WINDOW} px a side for SSIM, got {tuple(prediction.shape[-2:])}"
        )
    # Variances are differences of near values: TF32 convolutions on a GPU would spoil them.
    precision = torch.float64 if prediction.is_cuda else torch.float32
    similarity = ssim_map(prediction.to(precision), target.to(precision), _WINDOW, eps=0.0, padding="valid")
    return similarity.mean(dim=(1, 2, 3)).float()


def _comparable(prediction: Image, target: Image, eight_bit: bool) -> tuple[Image, Image]:
    if prediction.shape != target.shape or prediction.ndim != 4:
        raise ValueError(
            "prediction, target: expected two batches of one shape (B, 3, H, W), "
            f"got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    prediction, target = (x.detach().float().clamp(0, 1) for x in (prediction, target))
    if eight_bit:
        prediction, target = (x.mul(255).round().div(255) for x in (prediction, target))
    return prediction, target


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
    """PSNR and SSIM (and LPIPS) of input and restoration for each task, mean over pictures.

    Every picture is scored by itself and kept with its task's name, so that a batch may mix tasks and
    the processes of a distributed run may see different ones.

    Args:
        perceptual: the LPIPS distance; left out when not given.
        eight_bit: score pictures rounded to 256 levels, as saved; else as floats.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, perceptual: Perceptual | None = None, *, eight_bit: bool = False) -> None:
        super().__init__()
        self.perceptual = perceptual
        self.eight_bit = eight_bit
        self.names = ("psnr", "ssim") if perceptual is None else ("psnr", "ssim", "lpips")
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
        prediction, target = _comparable(prediction, target, self.eight_bit)
        columns = [psnr(prediction, target).clamp(max=MAX_PSNR), ssim(prediction, target)]
        if self.perceptual is not None:
            pairs = zip(prediction, target, strict=True)
            columns.append(torch.stack([self.perceptual(a[None], b[None]).float().squeeze() for a, b in pairs]))
        return torch.stack(columns, dim=1)


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
