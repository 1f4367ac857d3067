"""Large pictures: no seams between tiles, and bounded memory."""

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data_modules.clean import EmbeddedPairs
from defusion.degradations.library import NAMES
from defusion.degradations.standard import degrade
from defusion.evaluation.metrics import psnr
from defusion.evaluation.testset import as_tensor
from defusion.restore.restorer import OVERLAP, Restorer
from defusion.restore.tiling import Tiling

TILE = 384


@cache
def photograph() -> Tensor:
    """1024 x 768 pixels of a held-out photograph, enlarged."""
    picture = as_tensor(EmbeddedPairs()[1][1])[None]
    return F.interpolate(picture, (768, 1152), mode="bicubic", antialias=True).clamp(0, 1)[0, :, :, 64:1088]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("task", NAMES)
def test_tiles_leave_no_seam(task: str, steps: int) -> None:
    """Against the picture restored whole; and across the borders of tiles nothing is steeper than elsewhere."""
    restorer = Restorer.from_pretrained("small")
    lq = degrade(photograph()[None], task, 0)[0]
    whole, tiled = (restorer(lq, task, steps=steps, tile=own).image for own in (0, TILE))
    assert not torch.equal(whole, lq)
    agreement = float(psnr(tiled[None], whole[None]))
    ratios = [steepness(tiled, axis) / steepness(whole, axis) for axis in (1, 2)]
    print(f"{task}, {steps} steps: {agreement:.1f} dB, gradient at borders {ratios[0]:.4f}, {ratios[1]:.4f}")
    assert agreement >= 50
    assert all(abs(ratio - 1) <= 0.02 for ratio in ratios)


def steepness(picture: Tensor, axis: int) -> float:
    """Mean gradient across the middles of the overlaps relative to that of the whole picture."""
    windows = Tiling(TILE, OVERLAP, 8).windows(*picture.shape[1:])
    starts = sorted({own.top if axis == 1 else own.left for own in windows} - {0})
    gradient = picture.diff(dim=axis).abs()
    own = [gradient.narrow(axis, start + OVERLAP // 4 - 1, OVERLAP // 2).mean() for start in starts]
    return float(torch.stack(own).mean() / gradient.mean())


_LARGE = """
import torch
from defusion.restore.restorer import Restorer
restorer = Restorer.from_pretrained("small")
restorer(torch.zeros(3, 64, 64), "noise")
def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024
idle = status("VmRSS")
picture = torch.randint(0, 256, (3, 3072, 4096), dtype=torch.uint8)
restored = restorer(picture, "haze").image
print((status("VmHWM") - idle) / 1e9)  # not ru_maxrss, which a process has from the one that started it
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's /proc")
def test_twelve_megapixels_take_less_than_3_gb() -> None:
    """Above the process with its weights loaded."""
    done = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True)
    print(f"{float(done.stdout):.2f} GB above the idle process")
    assert float(done.stdout) < 3


def test_the_picture_is_what_it_says() -> None:
    assert photograph().shape == (3, 768, 1024)
    assert 0 <= float(photograph().min()) < float(photograph().max()) <= 1
    assert np.isfinite(photograph().numpy()).all()
