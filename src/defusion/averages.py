"""Means over all pictures of all processes, each picture counted once."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torchmetrics import Metric


class Averages(Metric):
    """Named means, weighted by the pictures behind each value.

    Lightning's own means over processes round their weights to whole numbers: with nine pictures on two processes they
    are off by more than a tenth.

    Args:
        names: of all that may be added, the same in every process.
    """

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = list(dict.fromkeys(names))
        for state in ("sums", "counts"):
            self.add_state(state, torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Mapping[str, Tensor], count: int) -> None:
        """Adds the means of `count` pictures."""
        for name, value in values.items():
            place = self.names.index(name)
            self.sums[place] += count * value.detach().double()
            self.counts[place] += count

    def compute(self) -> dict[str, Tensor]:
        """The mean of each name that anything was added to, in any process."""
        means = self.sums / self.counts.clamp(min=1)
        return {name: means[place].float() for place, name in enumerate(self.names) if self.counts[place] > 0}
