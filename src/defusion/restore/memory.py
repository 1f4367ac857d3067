"""How large a tile, and how many at once, the free memory takes."""

import psutil
import torch

from defusion.unet.pretrained import PretrainedUNetConfig
from defusion.unet.unet import UNetConfig

SIDES = (384, 512, 1024)
"""Of automatic tiles, in pixels: larger ones are no faster."""

_MAPS = 8
"""Feature maps of a level that are alive at once, in float32, at the most (tests/restore/test_memory.py)."""
_SHARE = 0.25
"""Of the free memory that tiles may take."""


def bytes_a_pixel(config: UNetConfig | PretrainedUNetConfig) -> float:
    """What restoring one pixel takes on the device, at most: the feature maps of all levels."""
    return 4 * _MAPS * sum(width / (config.patch * 2**level) ** 2 for level, width in enumerate(config.channels))


def free_bytes(device: torch.device) -> int:
    """The device's free memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def tile_side(config: UNetConfig | PretrainedUNetConfig, device: torch.device) -> int:
    """Side of the largest automatic tile that a quarter of the free memory takes; the smallest if none.

    There are few sides, so that a result hardly ever depends on what else runs on a machine.
    """
    pixels = _SHARE * free_bytes(device) / bytes_a_pixel(config)
    return max((side for side in SIDES if side**2 <= pixels), default=SIDES[0])


def tiles_at_once(config: UNetConfig | PretrainedUNetConfig, device: torch.device, side: int) -> int:
    """How many tiles of a side the device takes at once; on a CPU, which gains nothing by more, one."""
    if device.type == "cpu":
        return 1
    return max(1, int(_SHARE * free_bytes(device) / (bytes_a_pixel(config) * side**2)))
