"""The learning-rate schedule of both modules."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: float, final: float = 0.0) -> LambdaLR:
    """Linear warm-up, then cosine decay to `final` times the peak rate at `total_steps`.

    Step it once an optimiser step. Without an end (`total_steps` infinite) the rate stays at its peak.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if math.isinf(total_steps) or total_steps <= warmup_steps:
            return 1.0
        progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
