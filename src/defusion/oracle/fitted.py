"""What is fitted to one pair of pictures, and what comes of it."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from defusion.random import Generators
from defusion.types import Image, Params

MIN_SIDE = 64
"""Smallest side of a picture that a degradation is fitted to: two widths of the largest blur kernel."""


class Operator(Protocol):
    """The applying half of a `Degradation`: all that a fitted one needs."""

    def apply(self, x: Image, params: Params, generators: Generators) -> Image:
        """Degrades `x` (n, 3, H, W) by `params`, n rows; see `Degradation.apply`."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A degradation as one pair of pictures has it.

    Attributes:
        task: its name, "rain" or "rain+noise".
        operator: of the library, or of this package where the library has none for what was measured.
        params: one row, on the CPU.
    """

    task: str
    operator: Operator
    params: Params

    def apply(self, x: Image, generators: Generators) -> Image:
        """Degrades pictures of any size as the pair was: the same parameters, fresh spatial fields.

        Args:
            x: (n, 3, H, W) in [0, 1].
            generators: on the device of `x`, one for the batch or one a sample.

        Returns:
            (n, 3, H, W) in [0, 1].
        """
        rows = {name: value.expand(len(x), *value.shape[1:]) for name, value in self.params.items()}
        return self.operator.apply(x, rows, generators)


@dataclass(frozen=True)
class Pair:
    """A degraded picture and its clean reference, both (1, 3, H, W), float32 in [0, 1], on the CPU."""

    lq: Image
    hq: Image

    @classmethod
    def of(cls, lq: Tensor, hq: Tensor) -> "Pair":
        """The pair of two pictures (3, H, W).

        Raises:
            ValueError: if they are no pictures in [0, 1], differ in shape, or have a side below 64 pixels.
        """
        for name, picture in (("lq", lq), ("hq", hq)):
            _check(name, picture)
        if lq.shape != hq.shape:
            raise ValueError(
                f"lq, hq: expected pictures of one shape, got {tuple(lq.shape)} and {tuple(hq.shape)}: "
                "crop them to what both show"
            )
        return cls(lq[None].float().cpu(), hq[None].float().cpu())

    def crop(self, size: int) -> "Pair":
        """The centre, at most `size` pixels a side, on the grid of a JPEG's blocks (16 pixels)."""
        height, width = self.hq.shape[2:]
        top, left = (max(length - size, 0) // 32 * 16 for length in (height, width))
        return self.part(top, left, size)

    def part(self, top: int, left: int, size: int) -> "Pair":
        """At most `size` pixels a side from (top, left)."""
        box = (..., slice(top, top + size), slice(left, left + size))
        return Pair(self.lq[box], self.hq[box])


def lookup(curves: Tensor, x: Image) -> Image:
    """Curves through evenly spaced knots over [0, 1], one a sample and channel, at `x`: linear in between.

    Args:
        curves: (n, C, M).
        x: (n, C, H, W) in [0, 1].

    Returns:
        (n, C, H, W).
    """
    last = curves.shape[2] - 1
    place = (x * last).clamp(0, last)
    lower = place.long().clamp(max=last - 1)
    low, high = (curves.to(x.device).gather(2, (lower + step).flatten(2)).view_as(x) for step in (0, 1))
    return torch.lerp(low, high, place - lower)


def _check(name: str, picture: Tensor) -> None:
    if picture.ndim != 3 or picture.shape[0] != 3 or not picture.is_floating_point():
        raise ValueError(
            f"{name}: expected a float picture (3, H, W), got {picture.dtype} {tuple(picture.shape)}: "
            "give one RGB picture, divided by 255"
        )
    if min(picture.shape[1:]) < MIN_SIDE:
        raise ValueError(
            f"{name}: expected at least {MIN_SIDE} pixels a side, got {tuple(picture.shape[1:])}: "
            "too few to measure a degradation; give a larger part of the picture"
        )
    if not bool(((picture >= 0) & (picture <= 1)).all()):
        raise ValueError(
            f"{name}: expected values in [0, 1], got [{float(picture.min()):g}, {float(picture.max()):g}]: "
            "divide 8-bit pictures by 255"
        )
