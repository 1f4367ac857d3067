"""What a training does when numbers stop being finite: skip, go back, lower the rate, stop and say why."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from defusion.checkpoints import CheckpointError, candidates, read_checked
from defusion.distributed import whole
from defusion.preemption import last_checkpoint

_GONE_BACK_TO = {"state_dict", "current_model_state", "optimizer_states"}
"""Of a checkpoint: weights, those beside an average, moments."""


class DivergedError(RuntimeError):
    """Training that does not come right by itself; says where, what was seen, and what to try."""


class NonFiniteGuard(Callback):
    """Keeps steps whose gradients are not finite from the weights.

    Such a step is skipped: weights and optimiser stay as they are. After `patience` of them in a row the training goes
    back to its last checkpoint that is finite (the data go on), at `factor` times its rate; after `returns` of those it
    stops with a diagnosis. Where a batch trains several networks, each has its own step, and one that is bad makes the
    batch so. (The gradient scaler of 16-bit floats has steps of its own; train in bf16 or fp32.)

    Args:
        patience: steps in a row that may be skipped.
        returns: how often it goes back.
        factor: of the learning rate, each time.
    """

    def __init__(self, patience: int = 5, returns: int = 3, factor: float = 0.5) -> None:
        self.patience = patience
        self.returns = returns
        self.factor = factor
        self.skipped = 0
        """In all."""
        self._in_a_row = 0
        self._returned = 0
        self._seen = ""
        self._finite: list[bool] = []
        """Of the steps of the batch under way."""

    def state_dict(self) -> dict[str, Any]:
        """The counts, which an interruption does not begin anew."""
        return {"skipped": self.skipped, "in_a_row": self._in_a_row, "returned": self._returned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.skipped, self._in_a_row, self._returned = (
            state_dict[name] for name in ("skipped", "in_a_row", "returned")
        )

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Takes the gradients away when one is not finite, which makes the optimiser pass over them."""
        own = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        trained = {name: parameter for name, parameter in pl_module.named_parameters() if id(parameter) in own}
        named = {name: parameter.grad for name, parameter in trained.items() if parameter.grad is not None}
        is_finite = bool(whole(torch.nn.utils.get_total_norm(list(named.values()))).isfinite())
        self._finite.append(trainer.strategy.reduce_boolean_decision(is_finite, all=True))
        if self._finite[-1]:
            return
        bad = [name for name, gradient in named.items() if not whole(gradient).isfinite().all()]
        self._seen = f"gradients of {len(bad)} of {len(named)} parameters" + (f", first {bad[0]}" if bad else "")
        for parameter in trained.values():
            parameter.grad = None
        self.skipped += 1
        warnings.warn(f"step {trainer.global_step}: not finite: {self._seen}; skipped", RuntimeWarning, stacklevel=2)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs the count; goes back or stops when too many were skipped in a row.

        Raises:
            DivergedError: after the last return.
        """
        pl_module.log("train/skipped_steps", float(self.skipped))
        if self._finite:  # of several batches that make a step it comes with the last
            self._in_a_row = 0 if all(self._finite) else self._in_a_row + 1
            self._finite.clear()
        if self._in_a_row < self.patience:
            return
        if self._returned == self.returns:
            raise DivergedError(self._diagnosis(trainer, pl_module, batch))
        self._in_a_row = 0
        self._returned += 1
        chosen = _newest_finite(last_checkpoint(trainer)) if trainer.is_global_zero else None
        file: Path | None = trainer.strategy.broadcast(chosen)
        if file is not None:
            counted = self.state_dict()
            _go_back(trainer, file)
            self.load_state_dict(counted)
        rate = _lower(trainer, self.factor)
        warnings.warn(
            f"step {trainer.global_step}: {self.patience} steps in a row were not finite: "
            f"{f'back to {file}' if file else 'there is no checkpoint yet'}, learning rate {rate:.3g} "
            f"(return {self._returned} of {self.returns})",
            RuntimeWarning,
            stacklevel=2,
        )

    def _diagnosis(self, trainer: Trainer, module: LightningModule, batch: Any) -> str:
        weights = [name for name, own in module.state_dict().items() if not own.isfinite().all()]
        data = [name for name, own in vars(batch).items() if isinstance(own, Tensor) and not own.isfinite().all()]
        if data:
            cause = f"the batch itself is not finite ({', '.join(data)}): check the data"
        elif weights:
            cause = f"weights are not finite ({len(weights)}, first {weights[0]}): start from another checkpoint"
        else:
            cause = "batch and weights are finite: try a lower --model.learning_rate, a longer warm-up, or fp32"
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        return (
            f"step {trainer.global_step}: not finite after {self.returns} returns to the last checkpoint, at learning "
            f"rate {rate:.3g}: {self._seen}; {cause}"
        )


def _newest_finite(last: Path | None) -> Path | None:
    for file in candidates(last) if last is not None else ():
        try:
            found = read_checked(file, "cpu")
        except CheckpointError:
            continue  # not there, or damaged
        if all(value.isfinite().all() for name in _GONE_BACK_TO & found.keys() for value in _tensors(found[name])):
            return file
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    """All in a tree of a checkpoint."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list):
        for own in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(own)


def _go_back(trainer: Trainer, file: Path) -> None:
    """Weights, their average and the optimisers' state, as when a training is resumed; not the place in the data."""
    connector = trainer._checkpoint_connector
    connector.resume_start(str(file), weights_only=True)
    connector.restore_model()
    connector.restore_callbacks()
    connector.restore_optimizers()
    connector.resume_end()


def _lower(trainer: Trainer, factor: float) -> float:
    """Lowers the schedules as a whole; checkpoints keep it."""
    for config in trainer.lr_scheduler_configs:
        schedule: Any = config.scheduler
        schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]
        lowered = [rate * factor for rate in schedule.get_last_lr()]
        schedule._last_lr = lowered
        for group, rate in zip(schedule.optimizer.param_groups, lowered, strict=True):
            group["lr"] = rate
    return float(trainer.optimizers[0].param_groups[0]["lr"])
