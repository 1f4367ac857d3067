"""Procedural scenes, drawn on the device: endless clean training crops beside the photographs."""

from collections.abc import Sequence

import torch

from defusion.grounds.constructs import GROUPS
from defusion.random import generator
from defusion.types import Image

_SCENES = (*GROUPS["random"][:1] * 3, GROUPS["random"][2], *GROUPS["natural"], *GROUPS["concentric"][2:])
"""Dead leaves three times as often as pink noise, natural textures, and lines."""

_STREAM = 0x5CE2E


def replace_by_scenes(hq: Image, index: Sequence[int], task: Sequence[str], share: float, seed: int) -> Image:
    """hq (B, 3, S, S) with a share of the samples replaced by procedural scenes; real pairs (with a task) stay.

    Dead leaves have the statistics of natural pictures (Lee, Mumford & Huang, 2001) and train
    restoration networks nearly as well (Achddou et al., 2021). Sample i depends on (seed, index of i).
    """
    result = hq.clone()
    for row, (number, name) in enumerate(zip(index, task, strict=True)):
        draw = generator(seed, number, _STREAM)
        if not name and float(torch.rand((), generator=draw)) < share:
            scene = _SCENES[int(torch.randint(len(_SCENES), (), generator=draw))]
            own = generator(seed, number, _STREAM + 1, device=hq.device)
            result[row] = scene(1, hq.shape[-1], own, hq.device)[0]
    return result
