"""What rain, drops, snow, haze, low light and water have in common."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.haze import Haze
from defusion.degradations.light import LowLight
from defusion.degradations.rain import Rain
from defusion.degradations.raindrop import Raindrop
from defusion.degradations.snow import Snow
from defusion.degradations.water import Underwater
from defusion.random import generator
from defusion.types import Params

EACH = pytest.mark.parametrize(
    "degradation", [Rain(), Raindrop(), Snow(), Haze(), LowLight(), Underwater()], ids=lambda d: d.name
)


def generators(n: int, key: int = 0) -> list[torch.Generator]:
    return [generator(key, index) for index in range(n)]


def scene(n: int, height: int, width: int | None = None) -> Tensor:
    """Coloured waves of 32 pixels under squares of 4: a larger one shows more of the same."""
    width = height if width is None else width
    down = (torch.arange(height) * (2 * math.pi / 32)).sin()[:, None].expand(height, width)
    across = (torch.arange(width) * (2 * math.pi / 32)).cos().expand(height, width)
    squares = ((torch.arange(height)[:, None] // 4 + torch.arange(width) // 4) % 2).float()
    picture = torch.stack([0.4 + 0.2 * down, 0.4 + 0.2 * across, 0.5 - 0.15 * down])
    return (picture + 0.15 * squares - 0.05).expand(n, 3, height, width).contiguous()


def psnr(x: Tensor, y: Tensor) -> Tensor:
    return -10 * torch.log10(((x - y) ** 2).mean(dim=(1, 2, 3)))


@EACH
def test_severity_zero_is_the_identity(degradation: Degradation) -> None:
    x = scene(4, 48)
    y = degradation(x, generators(4), torch.zeros(4))
    torch.testing.assert_close(y, x, rtol=0, atol=1e-6)


@EACH
def test_leaves_its_input_and_its_parameters_alone(degradation: Degradation) -> None:
    x = scene(3, 32)
    before = x.clone()
    params = degradation.draw(3, generators(3))
    drawn = {name: value.clone() for name, value in params.items()}
    degradation.apply(x, params, generators(3))
    assert torch.equal(x, before)
    assert params.keys() == drawn.keys()
    assert all(torch.equal(params[name], drawn[name]) for name in drawn)


@EACH
def test_parameters_are_one_row_a_sample_and_differ(degradation: Degradation) -> None:
    params = degradation.draw(8, generators(8), torch.full((8,), 0.5))
    assert torch.equal(params["severity"], torch.full((8,), 0.5))
    for name, value in params.items():
        assert len(value) == 8
        assert value.device.type == "cpu"
        assert torch.isfinite(value).all()
        assert name in ("severity", "patchiness") or not torch.equal(value[0], value[1]), name


@EACH
@pytest.mark.parametrize("size", [(64, 64), (17, 31)])
def test_a_sample_does_not_depend_on_its_neighbours(degradation: Degradation, size: tuple[int, int]) -> None:
    x = scene(5, *size)
    severity = torch.tensor([0.9, 0.2, 0.6, 1.0, 0.4])
    together = degradation(x, generators(5), severity)
    for row, own in enumerate(generators(5)):
        alone = degradation(x[row : row + 1], [own], severity[row : row + 1])
        assert torch.equal(alone[0], together[row])


@EACH
def test_the_same_generators_give_the_same_bits(degradation: Degradation) -> None:
    x = scene(3, 40)
    assert torch.equal(degradation(x, generators(3)), degradation(x, generators(3)))
    assert not torch.equal(degradation(x, generators(3)), degradation(x, generators(3, key=1)))


@EACH
def test_takes_a_single_generator(degradation: Degradation) -> None:
    x = scene(3, 32)
    y = degradation(x, generator(1), torch.full((3,), 0.8))
    assert torch.equal(y, degradation(x, generator(1), torch.full((3,), 0.8)))
    assert not torch.equal(y[0], y[1])


@EACH
@pytest.mark.parametrize("size", [(16, 16), (17, 23), (16, 90)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_takes_any_size_and_both_dtypes(degradation: Degradation, size: tuple[int, int], dtype: torch.dtype) -> None:
    for extreme in (0.0, 1.0):
        x = torch.full((2, 3, *size), extreme, dtype=dtype)
        y = degradation(x, generators(2), torch.ones(2))
        assert y.shape == x.shape
        assert y.dtype == dtype
        assert torch.isfinite(y).all()
        assert y.min() >= 0
        assert y.max() <= 1


@EACH
def test_bfloat16_is_float32_rounded(degradation: Degradation) -> None:
    x = scene(3, 32).bfloat16()
    params = degradation.draw(3, generators(3))
    coarse = degradation.apply(x, params, generators(3))
    assert torch.equal(coarse, degradation.apply(x.float(), params, generators(3)).bfloat16())


@EACH
def test_stronger_severity_lowers_psnr(degradation: Degradation) -> None:
    x = scene(8, 96)
    means = [
        float(psnr(degradation(x, generators(8), torch.full((8,), severity)), x).mean())
        for severity in (0.1, 0.3, 0.5, 0.75, 1.0)
    ]
    assert all(weaker > stronger + 0.3 for weaker, stronger in pairwise(means)), means
    assert 9 < means[2] < 29, means


def residual_statistics(degradation: Degradation, params: Params, size: int, repeats: int) -> Tensor:
    """Mean and RMS of the residual of each sample over `repeats` draws of the pixel fields, (2, n)."""
    n = len(params["severity"])
    x = scene(n, size)
    sums = torch.zeros(2, n)
    for key in range(repeats):
        residual = degradation.apply(x, params, generators(n, key)) - x
        sums += torch.stack([residual.mean(dim=(1, 2, 3)), residual.square().mean(dim=(1, 2, 3))])
    mean, square = sums / repeats
    return torch.stack([mean, square.sqrt()])


@EACH
def test_one_draw_has_the_same_statistics_at_every_size(degradation: Degradation) -> None:
    """Mean and RMS of the residual at 64, 128 and 512 px agree to 15% or 0.01."""
    params = degradation.draw(2, generators(2), torch.tensor([0.5, 0.9]))
    large = residual_statistics(degradation, params, 512, 1)
    for size, repeats in ((64, 24), (128, 8)):
        torch.testing.assert_close(residual_statistics(degradation, params, size, repeats), large, rtol=0.15, atol=0.01)


@EACH
def test_pixel_fields_come_from_apply(degradation: Degradation) -> None:
    """Haze has none: its parameters fix every pixel. All others take theirs from `apply`'s generators."""
    x = scene(2, 64)
    params = degradation.draw(2, generators(2), torch.full((2,), 0.8))
    first, second = (degradation.apply(x, params, generators(2, key)) for key in (0, 1))
    assert torch.equal(first, second) == (degradation.name == "haze")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@EACH
def test_on_a_gpu_the_same_bits_and_the_statistics_of_the_cpu(degradation: Degradation) -> None:
    x = scene(4, 128).cuda()
    params = degradation.draw(4, generators(4), torch.full((4,), 0.6))
    first, second = (
        degradation.apply(x, params, [generator(index, device="cuda") for index in range(4)]) for _ in range(2)
    )
    assert first.device == x.device
    assert torch.equal(first, second)
    on_cpu = degradation.apply(x.cpu(), params, generators(4))
    assert float((psnr(first, x).mean().cpu() - psnr(on_cpu, x.cpu()).mean()).abs()) < 1.5
