"""Exponential moving average of the weights, as a Lightning callback."""

from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage(WeightAveraging):
    """Averages after every step; validation, the saved weights and the end of training use the average.

    Unlike Lightning's `EMAWeightAveraging` it interpolates as a + w (b - a), which leaves what does not
    change as it is to the last bit: the frozen tokenizer keeps its fingerprint.

    Args:
        decay: share of the old average that is kept at each step.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After every step."""
        return step_idx is not None
