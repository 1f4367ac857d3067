"""Exponential moving average of the weights, as a Lightning callback."""

from collections.abc import Sequence
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from typing_extensions import override

from defusion.distributed import is_sharded, part
from defusion.sharding import hold, load_whole, whole_state


class ExponentialMovingAverage(WeightAveraging):
    """Averages after every step; validation, the saved weights and the end of training use the average.

    Unlike Lightning's `EMAWeightAveraging` it interpolates as a + w (b - a), which leaves what does not
    change as it is to the last bit: the frozen tokenizer keeps its fingerprint. It lies on the device of the training,
    and where processes share the weights out (`defusion.sharding`) they share it out alike.

    Args:
        decay: share of the old average that is kept at each step.
    """

    def __init__(self, decay: float = 0.999) -> None:
        interpolate = get_ema_multi_avg_fn(decay)

        def update(averages: Sequence[Tensor], currents: Sequence[Tensor], count: Any) -> None:
            interpolate(tuple(map(part, averages)), tuple(map(part, currents)), count)

        super().__init__(multi_avg_fn=update)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After every step."""
        return step_idx is not None

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copies the module, whose weights are not shared out yet."""
        if stage != "fit":
            return
        mesh, pl_module._device_mesh = pl_module._device_mesh, None  # which cannot be copied
        try:
            self._average_model = AveragedModel(
                pl_module, trainer.strategy.root_device, use_buffers=self._use_buffers, **self._kwargs
            )
        finally:
            pl_module._device_mesh = mesh
        copied: Any = self._average_model.module
        copied._device_mesh = mesh
        copied.configure_model()

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the weights of the training back."""
        hold(pl_module, whole=False)
        super().on_validation_epoch_end(trainer, pl_module)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Stores the average as the state, and the state beside it."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._average_model is not None and is_sharded(pl_module):
            checkpoint["state_dict"] = whole_state(self._average_model.module)

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Takes both back."""
        if self._average_model is None or not is_sharded(pl_module):
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
            return
        load_whole(self._average_model.module, checkpoint["state_dict"])
        load_whole(pl_module, checkpoint.get("current_model_state", checkpoint["state_dict"]))
        if "averaging_state" in checkpoint:
            self._average_model.n_averaged.copy_(checkpoint["averaging_state"]["n_averaged"])
