"""A test set at hand: its pictures on the disk, made ready to be restored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from defusion.degradations.library import NAMES
from defusion.evaluation.benchmarks import Benchmark
from defusion.evaluation.protocol import resize_for
from defusion.evaluation.synthesis import make_input

SEED = 2025
"""Picture number i of a synthetic test is degraded by the key (SEED, i)."""

_CDD = {"low": "low_light"}
"""CDD-11's names of degradations where they are not ours."""


class PairSource(Protocol):
    """Pairs by position: the degraded picture (None where it is to be made) and the reference, (H, W, 3)."""

    names: Sequence[str]
    facts: Sequence[Mapping[str, str]]
    layout: str

    @property
    def identity(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> tuple[NDArray[Any] | None, NDArray[Any]]: ...


@dataclass(frozen=True)
class Sample:
    """One picture to restore and what it should become, (3, H, W) each in [0, 1]."""

    number: int
    """Its place in the test set."""
    name: str
    lq: Tensor
    hq: Tensor
    shown: str
    """The degradations that its instruction shows, "rain+noise"."""


@dataclass(frozen=True)
class TestSet:
    """The samples of a test set, each decoded when it is asked for."""

    __test__ = False  # it is no test of pytest's

    benchmark: Benchmark
    pairs: PairSource

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: int) -> Sample:
        own = self.benchmark
        lq, hq = self.pairs[position]
        shown = shown_of(own, self.pairs.facts[position])
        target = as_tensor(resize_for(own.protocol, hq))
        if own.synthesis is not None:
            made = make_input(own.synthesis, own.task, target, position, SEED)
        else:
            assert lq is not None, f"{own.name}: neither an input nor a way to make one"
            made = as_tensor(resize_for(own.protocol, lq))
        return Sample(position, self.pairs.names[position], made, target, shown)


def shown_of(benchmark: Benchmark, facts: Mapping[str, str]) -> str:
    """The degradations of a picture: the test set's, or those its folder or file name tells (CDD-11)."""
    if "{" not in benchmark.task:
        return benchmark.task
    try:
        told = benchmark.task.format(**facts)
    except KeyError as error:
        raise ValueError(
            f"task {benchmark.name}: expected {error} of each picture, by its folder or a column of words, got "
            f"{', '.join(facts) or 'nothing'}"
        ) from error
    named = {_CDD.get(name, name) for name in told.split("_")}
    unknown = named - set(NAMES)
    if unknown:
        raise ValueError(
            f"task {benchmark.name}: expected degradations of {', '.join(NAMES)}, joined by _, in the name "
            f"{told!r}; {', '.join(sorted(unknown))} is none"
        )
    return "+".join(name for name in NAMES if name in named)


def as_tensor(picture: NDArray[Any]) -> Tensor:
    """uint8 or uint16 (H, W, 3) to float32 (3, H, W) in [0, 1]."""
    levels = np.iinfo(picture.dtype).max
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)) / levels
