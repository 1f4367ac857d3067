"""JPEG: agreement with Pillow's codec."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from defusion.degradations.compression import (
    CHROMINANCE_TABLE,
    LUMINANCE_TABLE,
    Jpeg,
    jpeg,
    quantisation_table,
)
from defusion.random import generator

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")


def photograph(name: str) -> np.ndarray:
    """A photograph of odd size, (H, W, 3) uint8."""
    picture: np.ndarray = getattr(data, name)()
    return picture[40:257, 60:365]


def to_tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255


def psnr(x: Tensor, y: Tensor) -> float:
    return float(-10 * (x - y).square().mean().log10())


def pillow(picture: np.ndarray, quality: int) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return Image.open(stream)


@pytest.mark.parametrize("quality", [10, 40, 80])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_codec_agrees_with_pillow(name: str, quality: int) -> None:
    picture = photograph(name)
    clean, theirs = to_tensor(picture), to_tensor(np.asarray(pillow(picture, quality)))
    operator = Jpeg()
    severity = torch.tensor([operator.severity(quality)])
    ours = operator(clean, generator(0), severity)
    assert abs(psnr(ours, clean) - psnr(theirs, clean)) < 0.1
    assert psnr(ours, theirs) > psnr(theirs, clean) + 8


@pytest.mark.parametrize("quality", [5, 10, 49, 50, 80, 95])
def test_tables_are_those_of_pillow(quality: int) -> None:
    tables: dict[int, list[int]] = pillow(photograph("coffee"), quality).quantization  # type: ignore[attr-defined]
    for index, table in enumerate((LUMINANCE_TABLE, CHROMINANCE_TABLE)):
        assert quantisation_table(table, torch.tensor([float(quality)])).flatten().tolist() == tables[index]


def test_compressed_blocks_hold_multiples_of_the_table_only() -> None:
    """Compressing again with the same quality changes next to nothing: coefficients are really rounded."""
    once = jpeg(to_tensor(photograph("chelsea")), torch.tensor([20.0]))
    twice = jpeg(once, torch.tensor([20.0]))
    assert psnr(once, twice) > 38
    assert torch.equal((once * 255).round() / 255, once)


def test_severity_maps_to_quality() -> None:
    operator = Jpeg()
    severity = torch.tensor([0.1, 0.5, 1.0])
    assert operator.draw(3, generator(0), severity)["quality"].tolist() == [74, 22, 5]
    for quality in range(5, 101):
        asked = torch.tensor([operator.severity(quality)])
        assert operator.draw(1, generator(0), asked)["quality"].item() == quality


def test_severity_0_is_not_compressed() -> None:
    x = torch.rand(1, 3, 24, 24, generator=generator(11))
    assert torch.equal(Jpeg()(x, generator(0), torch.zeros(1)), x)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="quality"):
        Jpeg().severity(3)
    with pytest.raises(ValueError, match="min_quality"):
        Jpeg(min_quality=0)
