"""Reproducible randomness: every sample owns its generator, no global state is touched.

A sample's values depend on its own generator alone, so the same seed gives the same picture
whatever the batch size, the number of workers or the neighbours in the batch.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Generators: TypeAlias = torch.Generator | Sequence[torch.Generator]
"""One generator for the whole batch, or one for each of its samples."""

Normals: TypeAlias = Callable[[Sequence[int]], Tensor]
"""Standard normal values of a shape (n, ...), others at each call."""

_MAX_SEED = 2**63 - 1


def generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded from a key of integers, for example `(seed, index)`.

    The key is mixed by splitmix64, so that neighbouring keys give unrelated streams.
    """
    state = 0
    for part in key:
        state = _splitmix64((state ^ (part & 0xFFFFFFFFFFFFFFFF)) & 0xFFFFFFFFFFFFFFFF)
    return torch.Generator(device=device).manual_seed(state & _MAX_SEED)


def _splitmix64(value: int) -> int:
    mask = 0xFFFFFFFFFFFFFFFF
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


def uniform(
    n: int,
    shape: Sequence[int],
    generators: Generators,
    low: float = 0.0,
    high: float = 1.0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform values in [low, high), (n, *shape)."""
    if isinstance(generators, torch.Generator):
        values = torch.rand((n, *shape), generator=generators, device=device)
    else:
        _check(n, generators)
        values = torch.empty((n, *shape), device=device)
        for row, own in zip(values, generators, strict=True):
            row.uniform_(generator=own)
    return values if (low, high) == (0.0, 1.0) else values.mul_(high - low).add_(low)


def normal(
    n: int,
    shape: Sequence[int],
    generators: Generators,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal values, (n, *shape)."""
    if isinstance(generators, torch.Generator):
        return torch.randn((n, *shape), generator=generators, device=device)
    _check(n, generators)
    values = torch.empty((n, *shape), device=device)
    for row, own in zip(values, generators, strict=True):
        row.normal_(generator=own)
    return values


def normals(generators: Generators, device: torch.device | str = "cpu") -> Normals:
    """Draws from generators on `device`, one for the batch or one a sample."""
    return lambda shape: normal(shape[0], shape[1:], generators, device)


def integers(
    n: int,
    shape: Sequence[int],
    generators: Generators,
    high: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform integers in [0, high), int64, (n, *shape)."""
    if isinstance(generators, torch.Generator):
        return torch.randint(high, (n, *shape), generator=generators, device=device)
    _check(n, generators)
    values = torch.empty((n, *shape), dtype=torch.int64, device=device)
    for row, own in zip(values, generators, strict=True):
        row.random_(0, high, generator=own)
    return values


def take(generators: Generators, rows: Tensor) -> Generators:
    """The generators of the samples at `rows`; a single generator serves any rows."""
    if isinstance(generators, torch.Generator):
        return generators
    return [generators[int(row)] for row in rows]


def _check(n: int, generators: Sequence[torch.Generator]) -> None:
    if len(generators) != n:
        raise ValueError(f"generators: expected one for each of {n} samples, got {len(generators)}")
