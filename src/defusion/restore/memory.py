"""How large a tile, and how many at once, the free memory takes."""

import psutil
import torch

from defusion.unet.pretrained import PretrainedUNetConfig
from defusion.unet.unet import UNetConfig

MIN_TILE, MAX_TILE = 256, 1024
"""Sides of automatic tiles, in pixels: larger ones are no faster."""

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


def tile_and_batch(config: UNetConfig | PretrainedUNetConfig, device: torch.device) -> tuple[int, int]:
    """Side of a tile, a multiple of the network's stride, and how many of them at once (on a CPU one)."""
    pixels = _SHARE * free_bytes(device) / bytes_a_pixel(config)
    side = min(max(int(pixels**0.5), MIN_TILE), MAX_TILE)
    side -= side % config.stride
    return side, 1 if device.type == "cpu" else max(1, int(pixels / side**2))
