"""Per-task metrics and pictures while a model trains."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich import get_console
from torch import Tensor

from defusion.evaluation.metrics import Perceptual
from defusion.evaluation.report import image_grid, summary_table
from defusion.evaluation.scoring import TaskMetrics, TaskResult
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss
from defusion.types import Batch, Mode

_RESTORING = (Mode.MATCHED, Mode.TYPE_MATCHED)
"""The modes whose target is hq: only these measure restoration; the others measure obedience."""


class TaskMetricsCallback(Callback):
    """Logs `val/<task>/{psnr,psnr_gain,ssim}` and the mean over tasks, `val/psnr_gain`.

    `validation_step` of the module returns `{"restored": (B, 3, H, W)}` for a `Batch`, and may add
    "trajectory", the restored pictures after each sampling step. With a TensorBoard
    logger the first pictures of each task are drawn too, lq | restored | target and ground | instruction, and the
    trajectories of the first batch. The last results are printed as a table when training ends.

    Args:
        perceptual: the LPIPS distance, logged as `val/<task>/lpips`: its backbone, for example
            {network: alex, weights: FILE} in a YAML file, or a distance of your own; null for none.
        num_images: pictures drawn of each task; 0 for none.
    """

    def __init__(self, perceptual: PerceptualConfig | Perceptual | None = None, num_images: int = 4) -> None:
        if num_images < 0:
            raise ValueError(f"num_images: expected 0 or more, got {num_images}")
        self.metrics = TaskMetrics(
            PerceptualLoss(perceptual) if isinstance(perceptual, PerceptualConfig) else perceptual
        )
        self.num_images = num_images
        self.results: dict[str, TaskResult] = {}
        """Of the last whole validation."""
        self._pictures: dict[str, list[tuple[Tensor, ...]]] = {}
        self._trajectory: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts afresh."""
        self.metrics.to(pl_module.device).reset()
        self._pictures = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Scores the samples which are to be restored to hq."""
        if not isinstance(outputs, Mapping) or "restored" not in outputs:
            raise ValueError(
                f"{type(pl_module).__name__}.validation_step: expected a dict with 'restored', the restored "
                f"pictures, got {type(outputs).__name__}"
            )
        if "trajectory" in outputs:
            self._trajectory = [batch.lq, *outputs["trajectory"], batch.target]
        rows = [row for row, mode in enumerate(batch.mode) if mode in _RESTORING]
        restored: Tensor = outputs["restored"].detach()
        tasks = [batch.task[row] for row in rows]
        self.metrics.update(batch.lq[rows], restored[rows], batch.target[rows], tasks)
        for row, task in zip(rows, tasks, strict=True):
            pictures = (batch.lq, restored, batch.target, batch.ground, batch.instruction)
            self._keep(task, tuple(picture[row] for picture in pictures))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the means, equal on every rank, and draws the pictures of rank zero."""
        results = self.metrics.compute()
        if trainer.sanity_checking or not results:
            return
        self.results = results
        values = {"val/psnr_gain": sum(result.psnr_gain for result in results.values()) / len(results)}
        for task, result in results.items():
            values |= {f"val/{task}/{name}": value for name, value in result.restored.items()}
            values[f"val/{task}/psnr_gain"] = result.psnr_gain
        pl_module.log_dict(values, sync_dist=True)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                self._draw(logger, trainer.global_step)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the last results."""
        if trainer.is_global_zero and self.results:
            get_console().print(summary_table(self.results, title="Validation"))

    def _keep(self, task: str, pictures: tuple[Tensor, ...]) -> None:
        """Keeps the first pictures of each task, all of the size of the very first."""
        kept = self._pictures.setdefault(task, [])
        same_size = not kept or [x.shape for x in kept[0]] == [x.shape for x in pictures]
        if len(kept) < self.num_images and same_size:
            kept.append(tuple(picture.cpu() for picture in pictures))

    def _draw(self, logger: TensorBoardLogger, step: int) -> None:
        if self._trajectory and self.num_images:
            grid = image_grid(*(pictures[: self.num_images] for pictures in self._trajectory))
            logger.experiment.add_image("val/lq_steps_target", grid, step)
        for task, kept in self._pictures.items():
            if not kept:
                continue
            lq, restored, target, ground, instruction = map(torch.stack, zip(*kept, strict=True))
            grid = image_grid(lq, restored, target)
            logger.experiment.add_image(f"val/{task}/lq_restored_target", grid, step)
            grid = image_grid(ground, instruction)
            logger.experiment.add_image(f"val/{task}/ground_instruction", grid, step)
