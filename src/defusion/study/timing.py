"""Seconds of a training, without those of its validations: taken by a callback, read from its log."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from lightning import Callback, LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from defusion.study.scores import CurvePoint

WARM_UP = 20
"""First steps of a training that say nothing of the time of one."""

_SECONDS, _AT_VALIDATION, _GAIN = "train/seconds", "val/seconds", "val/psnr_gain"


class Stopwatch(Callback):
    """Logs `train/seconds`, and `val/seconds` beside each validation: seconds of training, over resumptions.

    Time spent in validations does not count, nor does what was lost since the last checkpoint.
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts, or goes on."""
        self._since = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Logs the time as often as the trainer logs."""
        pl_module.log(_SECONDS, self.seconds)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pauses."""
        self._before, self._since = self.seconds, None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the time at which the validation began."""
        pl_module.log(_AT_VALIDATION, self.seconds)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Goes on."""
        if not trainer.sanity_checking:
            self._since = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops, and logs the time of the whole training."""
        self._before, self._since = self.seconds, None
        for logger in trainer.loggers:
            logger.log_metrics({_SECONDS: self.seconds}, trainer.global_step - 1)  # of the last step

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self._before = state_dict["seconds"]


@dataclass(frozen=True)
class Record:
    """What a training logged.

    Attributes:
        seconds: step -> seconds of training until then, in the order of the steps.
        curve: of the validations.
    """

    seconds: Mapping[int, float]
    curve: tuple[CurvePoint, ...]

    @classmethod
    def read(cls, folder: Path | str) -> "Record":
        """Reads the TensorBoard events in the folder of a run that a `Stopwatch` took part in.

        Raises:
            ValueError: when there are none.
        """
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        logged = {
            tag: {event.step: event.value for event in events.Scalars(tag)}  # what was done again counts once
            for tag in events.Tags()["scalars"]
        }
        if _SECONDS not in logged:
            raise ValueError(f"{folder}: expected TensorBoard events with {_SECONDS}, found none; train this run anew")
        validated = logged.get(_AT_VALIDATION, {})
        curve = [CurvePoint(validated[step], gain) for step, gain in logged.get(_GAIN, {}).items() if step in validated]
        return cls(dict(sorted(logged[_SECONDS].items())), tuple(sorted(curve, key=lambda point: point.seconds)))

    @property
    def total(self) -> float:
        """Seconds of the whole training."""
        return max(self.seconds.values())

    @property
    def step(self) -> float:
        """Median seconds of a step, of those after the warm-up.

        Raises:
            ValueError: when fewer than two steps were logged since the warm-up's last.
        """
        steps = [step for step in self.seconds if step >= WARM_UP - 1]
        if len(steps) < 2:
            raise ValueError(f"expected two logged steps or more after the first {WARM_UP - 1}, got {steps}")
        return median((self.seconds[own] - self.seconds[before]) / (own - before) for before, own in pairwise(steps))
