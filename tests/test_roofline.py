"""The floor of a step: its heavy calls, counted and run alone."""

import pytest
import torch
from torch import nn

from defusion.roofline import floor


def test_a_step_is_its_heavy_calls_alone() -> None:
    """A convolution and a linear layer, forwards and backwards; seed 0."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 10))
    x = torch.rand(2, 3, 16, 16)
    times = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    ran: list[object] = []

    def timer(call: object) -> float:
        assert callable(call)
        ran.append(call())
        return next(times)

    found = floor(lambda: network(x).sum().backward(), timer)
    convolution, product = 2 * 2 * 8 * 16 * 16 * 27, 2 * 2 * 8 * 16 * 16 * 10
    assert found.calls == 5, "two forwards; of the convolution one backward for its weights, two products of the linear"
    assert found.operations == 2 * convolution + 3 * product
    assert found.seconds == pytest.approx(15)
    assert found.speed == pytest.approx(found.operations / 15)
    assert len(ran) == 5


def test_calls_of_one_kind_are_timed_once_and_counted() -> None:
    a, b = torch.rand(4, 4), torch.rand(4, 4)
    asked: list[object] = []

    def timer(call: object) -> float:
        asked.append(call)
        return 0.5

    found = floor(lambda: (a @ b, b @ a, a @ b.T, a + b), timer)
    assert len(asked) == 2, "the transposed one has another layout"
    assert (found.calls, found.seconds) == (3, 1.5)


def test_nothing_else_is_counted() -> None:
    found = floor(lambda: torch.rand(4).sort(), lambda call: 1.0)
    assert (found.calls, found.seconds, found.operations) == (0, 0, 0)
