"""Networks with self-attention have one tone over all tiles."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.restore.tone import toned
from tests.conftest import TINY_UNET, randomised


def means(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, (16, 32))


def test_tone_is_that_of_the_whole_and_detail_that_of_the_tiles() -> None:
    draw = generator(0)
    detail = torch.randn(1, 3, 256, 512, generator=draw)
    lq = torch.rand(1, 3, 256, 512, generator=draw)
    ramp = torch.linspace(0, 1, 512).expand(1, 3, 256, -1)
    tiles = detail + 5 * ((torch.arange(512) - 224) / 64).clamp(0, 1)  # two tones, blended over the overlap

    def whole(reduced: Tensor) -> Tensor:
        assert max(reduced.shape[-2:]) == 128
        return F.interpolate(ramp, reduced.shape[-2:], mode="bilinear")

    found = toned(tiles, lq, whole, 128)
    assert (means(found) - means(ramp)).abs().max() < 0.4  # the difference of the tiles is gone
    assert (means(tiles) - means(ramp)).abs().max() > 3
    fine = found - F.interpolate(means(found), (256, 512), mode="bilinear")
    own = detail - F.interpolate(means(detail), (256, 512), mode="bilinear")
    away = slice(0, 224)
    assert torch.corrcoef(torch.stack([fine[..., away].flatten(), own[..., away].flatten()]))[0, 1] > 0.95


def test_a_network_with_attention_is_toned_and_others_are_not(model: Defusion, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def noted(degradation: Tensor, *rest: object) -> Tensor:
        called.append(1)
        return toned(degradation, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("defusion.restore.restorer.toned", noted)
    attentive = randomised(Defusion(DefusionConfig(replace(TINY_UNET, attention_levels=(1,))), model.tokenizer))
    lq = torch.rand(2, 3, 40, 420, generator=generator(0))
    for own, tile, times in ((model, 384, 0), (attentive, 0, 0), (attentive, 384, 1)):
        called.clear()
        assert Restorer(own, "cpu")(lq, "rain", tile=tile).image.shape == lq.shape
        assert len(called) == times
