"""The benchmark: what it times, at which parameters."""

import time
from collections.abc import Iterator

import torch

from defusion.benchmark import Timing, compare, seconds, shares, table, waiting
from defusion.types import Batch, Mode
from defusion.unet.unet import UNetConfig


def batch() -> Batch:
    x, chart = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 8, 8)
    return Batch(x, x, x, chart, chart, ("rain", "rain"), ("rain", "rain"), (Mode.MATCHED, Mode.MATCHED))


def test_seconds_are_the_median_after_the_warm_up() -> None:
    calls: list[int] = []
    assert seconds(lambda: calls.append(1), 3, torch.device("cpu")) < 0.01
    assert len(calls) > 3


def test_the_table_compares_equal_networks() -> None:
    rows = compare(UNetConfig(channels=(8, 16), blocks=1, token_channels=8, adapter_levels=(1,)), batch, 1)
    assert rows[0].name == "synthesis"
    networks = [row for row in rows if row.parameters and "of its size" not in row.name]
    assert max(row.parameters for row in networks) < 1.1 * min(row.parameters for row in networks)
    assert all(row.seconds > 0 for row in networks)
    assert table(rows, 2).row_count == len(rows)
    assert rows[1].operations == rows[-1].operations > 0


def test_shares_are_of_the_whole_step() -> None:
    rows = [Timing("synthesis", 0, 0.01), Timing("network", 5, 0.08, 16 * 10**9), Timing("alone", 0, 0.04, 16 * 10**9)]
    whole, speed = shares(rows, Timing("waiting", 0, 0.01))
    assert "synthesis is 10.0%, waiting for crops 10.0%" in whole
    assert "200 of 400 GFLOP/s (50%)" in speed


def test_waiting_is_for_what_is_loaded_alone() -> None:
    """A loader of 20 ms a batch; neither the preparation nor the network is counted."""

    def load() -> Iterator[None]:
        while True:
            time.sleep(0.02)
            yield None

    def prepare(loaded: None) -> Batch:
        time.sleep(0.1)
        return batch()

    config = UNetConfig(channels=(8, 16), blocks=1, token_channels=8, adapter_levels=(1,))
    assert 0.02 <= waiting(load(), prepare, config, 2).seconds < 0.1
