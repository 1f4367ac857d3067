"""Synthesis on the device: clean crops to lq, target, ground and instruction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from data_modules.plan import Plan, SynthesisConfig, draw_plan, sequences
from defusion.degradations.library import LIBRARY, Compose, leave_out, rows_of
from defusion.random import generator, integers
from defusion.types import Batch, Image, Mode, Params

_PLAN, _PARAMS, _OTHER_PARAMS, _CROP, _GROUND, _INSTRUCTION, _POOL = range(7)
"""The random streams of one sample."""


@dataclass(frozen=True)
class Synthesis:
    """Makes training batches; sample i depends on (seed, index of i) alone, whatever its batch."""

    config: SynthesisConfig
    seed: int = 0
    library: Compose = field(default_factory=lambda: Compose(tuple(LIBRARY.values())))
    _pools: dict[torch.device, Image] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(
        self, hq: Image, index: Sequence[int], task: Sequence[str] | None = None, paired: Image | None = None
    ) -> Batch:
        """Degrades clean crops and grounds by one draw, and gives real pairs their instructions.

        Args:
            hq: clean crops, (B, 3, H, W) in [0, 1].
            index: the number of each sample.
            task: the degradations of real pairs, "rain+noise"; "" for crops that are to be degraded.
            paired: the degraded crops of real pairs, the shape of hq; other rows are not read.
        """
        task = task if task is not None else [""] * len(hq)
        plans = [
            draw_plan(self.config, own, name) for own, name in zip(self._streams(index, _PLAN), task, strict=True)
        ]
        present = sequences([plan.present for plan in plans])
        shown = sequences([plan.shown for plan in plans])
        params = self.library.draw(len(hq), self._streams(index, _PARAMS), sequence=present)

        synthetic = torch.tensor([not name for name in task])
        lq = self._degrade(hq, synthetic, params, index, _CROP)
        if paired is not None:
            lq = torch.where(_rows(synthetic, hq), lq, paired)
        target = torch.where(_rows(_in(plans, Mode.NULL, Mode.MISMATCHED), hq), lq, hq)
        removed = (present[:, :, None] == shown[:, None, :]).any(2)
        # Partial instructions leave the rest of the composite in the target, by the very same draw.
        target = self._degrade(target, _in(plans, Mode.PARTIAL), leave_out(params, removed), index, _CROP)

        ground, instruction = self._instruction(plans, shown, params, index, hq.device)
        names = self.library.names({"sequence": present})
        modes = tuple(plan.mode for plan in plans)
        return Batch(hq, lq, target, ground, instruction, names, self.library.names({"sequence": shown}), modes)

    def _instruction(
        self, plans: list[Plan], shown: Tensor, params: Params, index: Sequence[int], device: torch.device
    ) -> tuple[Image, Image]:
        """Grounds, and the same under the degradations shown: with the parameters of lq, or with others."""
        ground = self._grounds(index, device)
        same = _in(plans, Mode.MATCHED, Mode.PARTIAL)
        other = self.library.draw(len(plans), self._streams(index, _OTHER_PARAMS), sequence=shown)
        picture = self._degrade(ground, same, params | {"sequence": shown}, index, _INSTRUCTION)
        return ground, self._degrade(picture, ~same, other, index, _INSTRUCTION)

    def _degrade(self, x: Image, rows: Tensor, params: Params, index: Sequence[int], stream: int) -> Image:
        """x with the samples at `rows`, (B,) of bool, degraded."""
        chosen = rows.nonzero()[:, 0]
        if not len(chosen):
            return x
        streams = [generator(self.seed, index[row], stream) for row in chosen.tolist()]
        result, there = x.clone(), chosen.to(x.device)
        result[there] = self.library.apply(x[there], rows_of(params, chosen), streams)
        return result

    def _grounds(self, index: Sequence[int], device: torch.device) -> Image:
        """Each sample's ground: one of the pool, drawn once on each device."""
        if device not in self._pools:
            own = [generator(self.seed, number, _POOL, device=device) for number in range(self.config.grounds)]
            self._pools[device] = self.config.chart.draw(self.config.grounds, own, device)
        rows = integers(len(index), (), self._streams(index, _GROUND), self.config.grounds)
        return self._pools[device][rows.to(device)]

    def _streams(self, index: Sequence[int], stream: int) -> list[torch.Generator]:
        return [generator(self.seed, number, stream) for number in index]


def _in(plans: list[Plan], *modes: Mode) -> Tensor:
    return torch.tensor([plan.mode in modes for plan in plans])


def _rows(rows: Tensor, x: Tensor) -> Tensor:
    return rows.to(x.device).view(-1, 1, 1, 1)
