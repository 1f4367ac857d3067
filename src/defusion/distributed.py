"""The processes of a training, where there are several."""

from typing import Any

import torch
from torch import Tensor, nn


def is_distributed() -> bool:
    """Whether this is one of several processes that work together."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def world_size() -> int:
    """How many processes work together."""
    return torch.distributed.get_world_size() if is_distributed() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return torch.distributed.get_rank() if is_distributed() else 0


def of_all_processes(samples: Tensor) -> Tensor:
    """Samples (B, ...) of all processes, as many of each, in the order in which they are dealt out: in turns."""
    if not is_distributed():
        return samples
    parts = [torch.empty_like(samples) for _ in range(world_size())]
    torch.distributed.all_gather(parts, samples.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def averaged(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes, each of which has to ask; without gradient."""
    if not is_distributed():
        return value
    total = value.detach().clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(total)
    return total / world_size()


def places(count: int, before: int = 0) -> range:
    """The places of `count` samples of this process among those of all, dealt out in turns as above.

    Args:
        before: samples of this process that came before them.
    """
    first = before * world_size() + rank()
    return range(first, first + count * world_size(), world_size())


def is_sharded(module: nn.Module) -> bool:
    """Whether processes share its weights out (`defusion.sharding`)."""
    return any(_is_part(own) for own in module.parameters())


def whole(value: Tensor) -> Tensor:
    """A tensor of which this process may have but a part; every process has to ask."""
    shared: Any = value
    return shared.full_tensor() if _is_part(value) else value


def part(value: Tensor) -> Tensor:
    """What this process has of a tensor."""
    shared: Any = value
    return shared.to_local() if _is_part(value) else value


def _is_part(value: Tensor) -> bool:
    """Whether it is a DTensor, whose import would take long."""
    return hasattr(value, "full_tensor")
