"""Synthesis on the device: clean crops to lq, target, ground and instruction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from data_modules.plan import Plan, SynthesisConfig, draw_plan, sequences
from defusion.degradations.library import LIBRARY, NAMES, Compose, rows_of
from defusion.imageio import eight_bit
from defusion.random import generator, integers, uniform
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
        plans = [draw_plan(self.config, own, name) for own, name in zip(self._streams(index, _PLAN), task, strict=True)]
        present, shown = sequences([plan.present for plan in plans], [plan.shown for plan in plans])
        # Rows 0 to B - 1 are the parameters of lq, rows B to 2 B - 1 others, of what is shown.
        streams = [*self._streams(index, _PARAMS), *self._streams(index, _OTHER_PARAMS)]
        params = self.library.draw(len(streams), streams, self._severities(streams), torch.cat([present, shown]))
        ground = self._grounds(index, hq.device)
        same, partial = _in(plans, Mode.MATCHED, Mode.PARTIAL), _in(plans, Mode.PARTIAL)
        synthetic = torch.tensor([not name for name in task])
        left = present.masked_fill((present[:, :, None] == shown[:, None, :]).any(2), -1)
        crops, rest, like, unlike = self._degrade(
            params,
            index,
            _Work(hq, synthetic, present, 0, _CROP),
            # Partial instructions leave the rest of the composite in the target, by the very same draw.
            _Work(hq, partial, left, 0, _CROP),
            _Work(ground, same, shown, 0, _INSTRUCTION),
            _Work(ground, ~same, shown, len(hq), _INSTRUCTION),
        )
        crops = eight_bit(crops)  # or blur would show by spectra that no file can hold
        lq = crops if paired is None else torch.where(_rows(synthetic, hq), crops, paired)
        target = torch.where(_rows(_in(plans, Mode.NULL, Mode.MISMATCHED), hq), lq, rest)
        instruction = torch.where(_rows(same, hq), like, unlike)
        names, asked = self.library.names({"sequence": present}), self.library.names({"sequence": shown})
        modes = tuple(plan.mode for plan in plans)
        return Batch(hq, lq, target, ground, instruction, names, asked, modes, _severities(params, len(hq)))

    def _degrade(self, params: Params, index: Sequence[int], *works: "_Work") -> list[Image]:
        """Each work's pictures, degraded; those of one size in one go, which takes half the time."""
        results = [work.x.clone() for work in works]
        for shape in {work.x.shape[1:] for work in works}:
            group = [(work, result) for work, result in zip(works, results, strict=True) if work.x.shape[1:] == shape]
            rows = [work.rows.nonzero()[:, 0] for work, _ in group]
            streams = [
                self._fields(index[row], work.stream)
                for (work, _), own in zip(group, rows, strict=True)
                for row in own.tolist()
            ]
            drawn = torch.cat([own + work.offset for (work, _), own in zip(group, rows, strict=True)])
            sequence = torch.cat([work.sequence[own] for (work, _), own in zip(group, rows, strict=True)])
            x = torch.cat([work.x[own.to(work.x.device)] for (work, _), own in zip(group, rows, strict=True)])
            degraded = self.library.apply(x, rows_of(params, drawn) | {"sequence": sequence}, streams)
            parts = degraded.split([len(own) for own in rows])
            for (_, result), own, part in zip(group, rows, parts, strict=True):
                result[own.to(result.device)] = part
        return results

    def _fields(self, number: int, stream: int) -> torch.Generator:
        """Of a sample's spatial fields; those of canonical instructions are the same for all."""
        fixed = self.config.canonical and stream == _INSTRUCTION
        return generator(stream) if fixed else generator(self.seed, number, stream)

    def _grounds(self, index: Sequence[int], device: torch.device) -> Image:
        """Each sample's ground: the canonical one, or one of the pool, drawn once on each device."""
        if self.config.canonical:
            return self.config.chart.canonical(device).expand(len(index), -1, -1, -1)
        if device not in self._pools:
            own = [generator(self.seed, number, _POOL, device=device) for number in range(self.config.grounds)]
            self._pools[device] = self.config.chart.draw(self.config.grounds, own, device)
        rows = integers(len(index), (), self._streams(index, _GROUND), self.config.grounds)
        return self._pools[device][rows.to(device)]

    def _severities(self, streams: Sequence[torch.Generator]) -> Tensor | None:
        """Of each member in each sample, where the configuration bounds them."""
        if self.config.severities is None:
            return None
        return uniform(len(streams), (len(self.library.members),), streams, *self.config.severities)

    def _streams(self, index: Sequence[int], stream: int) -> list[torch.Generator]:
        return [generator(self.seed, number, stream) for number in index]


@dataclass(frozen=True)
class _Work:
    """Pictures to degrade: x (B, 3, H, W) at `rows` (B,), by the parameters from `offset` on."""

    x: Image
    rows: Tensor
    sequence: Tensor
    offset: int
    stream: int


def _severities(params: Params, count: int) -> Tensor:
    """Of each degradation in the first samples, (count, 11) in the order of the library; 0 where it is not."""
    none = torch.zeros(count)
    return torch.stack([params.get(f"{name}.severity", none)[:count] for name in NAMES], dim=1)


def _in(plans: list[Plan], *modes: Mode) -> Tensor:
    return torch.tensor([plan.mode in modes for plan in plans])


def _rows(rows: Tensor, x: Tensor) -> Tensor:
    return rows.to(x.device).view(-1, 1, 1, 1)
