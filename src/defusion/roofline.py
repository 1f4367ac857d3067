"""What the convolutions and matrix products of a step take by themselves: the floor below which no step can go."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode, flop_registry

Timer: TypeAlias = Callable[[Callable[[], object]], float]
"""The seconds that a call takes."""


@dataclass(frozen=True)
class Floor:
    """Of one step.

    Attributes:
        seconds: of its convolutions, matrix products and attentions, each run alone, forwards and backwards.
        operations: floating-point operations in these; a multiplication and an addition count as two.
        calls: how many there are.
    """

    seconds: float
    operations: int
    calls: int

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


def floor(step: Callable[[], object], timer: Timer) -> Floor:
    """Watches a step, then runs each kind of heavy call in it alone, on tensors of the same shape, layout and type."""
    with _Recorder() as recorder, FlopCounterMode(display=False) as counter:
        step()
    seconds = sum(timer(recorder.examples[kind]) * count for kind, count in recorder.counts.items())
    return Floor(seconds, counter.get_total_flops(), recorder.counts.total())


class _Recorder(TorchDispatchMode):
    """The calls whose operations PyTorch counts; nothing of the step is kept but their shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, Callable[[], object]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket in flop_registry:
            kind = f"{func} {tree_map(_described, (args, kwargs))}"
            self.counts[kind] += 1
            if kind not in self.examples:
                self.examples[kind] = _again(func, args, kwargs)
        return func(*args, **kwargs)


def _described(value: Any) -> Any:
    return (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else value


def _again(func: Any, args: Any, kwargs: Any) -> Callable[[], object]:
    """The same call on other numbers, which are made when it is first run."""
    shapes = tree_map(lambda value: value.to("meta") if isinstance(value, Tensor) else value, (args, kwargs))
    device = next(value.device for value in args if isinstance(value, Tensor))
    made: list[Any] = []

    def call() -> object:
        if not made:
            made.append(tree_map(lambda value: _like(value, device) if isinstance(value, Tensor) else value, shapes))
        own_args, own_kwargs = made[0]
        return func(*own_args, **own_kwargs)

    return call


def _like(shape: Tensor, device: torch.device) -> Tensor:
    return torch.ones_like(shape, device=device)
