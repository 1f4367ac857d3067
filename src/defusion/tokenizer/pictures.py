"""Pictures of what a tokenizer does, for TensorBoard."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid

from defusion.tokenizer.network import Tokenizer
from defusion.types import Image

_GOLDEN_RATIO = 0.618034


@torch.no_grad()
def token_picture(tokenizer: Tokenizer, ground: Image, instruction: Image, columns: int = 8) -> Tensor:
    """A grid in rows: ground, instruction, reconstruction, the codes of the ground, of the instruction.

    Args:
        tokenizer: in evaluation mode.
        ground: (B, 3, Hv, Wv) in [0, 1].
        instruction: the same, degraded.
        columns: at most so many samples are shown.

    Returns:
        (3, height, width) in [0, 1].
    """
    ground, instruction = ground[:columns].float(), instruction[:columns].float()
    reconstruction = tokenizer(instruction).reconstruction.clamp(0, 1)
    maps = [code_map(tokenizer.indices(picture), picture, tokenizer.config.stride) for picture in (ground, instruction)]
    rows = torch.cat((ground, instruction, reconstruction, *maps))
    return make_grid(rows, nrow=len(ground))


def code_map(indices: Tensor, ground: Image, stride: int) -> Image:
    """Each token as a square of its code's colour, (B, N) -> the shape of `ground`.

    Neighbouring codes get far-apart hues (steps of the golden ratio).
    """
    hue = (indices * _GOLDEN_RATIO) % 1.0
    offsets = torch.tensor([0.0, 2 / 3, 1 / 3], device=indices.device)
    colours = 0.5 + 0.5 * torch.cos(2 * torch.pi * (hue[:, None] + offsets[:, None]))
    grid = colours.unflatten(2, (ground.shape[2] // stride, ground.shape[3] // stride))
    return F.interpolate(grid, scale_factor=stride)
