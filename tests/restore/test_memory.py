"""Tiles fit the memory."""

import os
import subprocess
import sys

import pytest
import torch

from defusion.restore import memory
from defusion.restore.memory import SIDES, bytes_a_pixel, tile_side, tiles_at_once
from defusion.unet.unet import UNetConfig

SMALL = UNetConfig(channels=(48, 96, 192), blocks=3)

_PEAK = """
import torch
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.random import generator, normals
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.unet.unet import UNetConfig

torch.manual_seed(0)
unet = UNetConfig({channels}, {blocks}, adapter_levels=(2,))
model = Defusion(DefusionConfig(unet), Tokenizer(TokenizerConfig())).eval()
tokens = torch.zeros(1, 64, 64)
def peak(side):
    lq = torch.rand(1, 3, side, side)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model.restore(lq, tokens, normals(generator(0)))
    with open("/proc/self/status") as file:  # not ru_maxrss, which a process has from the one that started it
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024
before = peak(64)
print((peak(768) - before) / 768**2)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's /proc")
@pytest.mark.parametrize(("channels", "blocks"), [((48, 96, 192), 3), ((32, 64, 96), 2), ((96, 192, 384), 2)])
def test_a_pixel_takes_no_more_than_is_reckoned(channels: tuple[int, ...], blocks: int) -> None:
    """Peak memory of a process that restores 768 x 768 pixels, above that of 64 x 64."""
    code = _PEAK.format(channels=channels, blocks=blocks)
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    measured, reckoned = float(done.stdout), bytes_a_pixel(UNetConfig(channels, blocks))
    print(f"{channels}: {measured:.0f} bytes a pixel, reckoned {reckoned:.0f}")
    assert 0.5 * reckoned < measured < reckoned


def test_tiles_grow_with_the_memory_and_fit_the_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    sides = []
    for free in (1e6, 1e9, 1e12):
        monkeypatch.setattr(memory, "free_bytes", lambda _, free=free: int(free))
        sides.append(tile_side(SMALL, device))
        assert sides[-1] % SMALL.stride == 0
        assert tiles_at_once(SMALL, device, sides[-1]) == 1
    assert sides == list(SIDES)


def test_a_gpu_takes_several_tiles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: int(80e9))
    side = tile_side(SMALL, torch.device("cuda"))
    batch = tiles_at_once(SMALL, torch.device("cuda"), side)
    assert side == SIDES[-1]
    assert 2 <= batch <= 80e9 / (bytes_a_pixel(SMALL) * side**2)


def test_the_free_memory_is_known() -> None:
    assert memory.free_bytes(torch.device("cpu")) > 1e8
