"""Properties that noise, blur, compression and downsampling must all have."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.base import Degradation
from defusion.degradations.blur import DefocusBlur, MotionBlur
from defusion.degradations.compression import Jpeg
from defusion.degradations.noise import Noise
from defusion.degradations.resolution import Downsample
from defusion.random import generator

OPERATORS = {
    "noise": Noise(),
    "gaussian_noise": Noise.gaussian(),
    "camera_noise": Noise(kinds=(0, 1, 0)),
    "poisson_noise": Noise(kinds=(0, 0, 1)),
    "motion_blur": MotionBlur(),
    "panning_blur": MotionBlur(straight=1.0),
    "defocus_blur": DefocusBlur(),
    "jpeg": Jpeg(),
    "downsample": Downsample(),
    "bicubic": Downsample(methods=(1, 0, 0)),
    "bilinear": Downsample(methods=(0, 1, 0)),
    "area": Downsample(methods=(0, 0, 1)),
}

pytestmark = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())


def texture(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """A stationary coloured texture with detail of 1 to 4 pixels, (n, 3, height, width) in [0, 1]."""
    noise = torch.randn(n, 3, height + 8, width + 8, generator=generator(seed))
    octaves = [F.avg_pool2d(noise, size, 1)[..., :height, :width] * size for size in (1, 3, 5)]
    return (0.5 + 0.1 * torch.stack(octaves).sum(0)).clamp(0, 1)


def generators(n: int, *key: int) -> list[torch.Generator]:
    return [generator(*key, index) for index in range(n)]


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Per-picture PSNR in dB, (n,)."""
    return -10 * (x - y).square().mean((1, 2, 3)).clamp(min=1e-12).log10()


def test_identity_at_severity_0(operator: Degradation) -> None:
    x = texture(12, 40, 53)
    x[0], x[1], x[2, 0] = 0.0, 1.0, 0.0
    y = operator(x, generators(12, 1), torch.zeros(12))
    assert (y - x).abs().max() <= 2e-6


def test_stronger_is_farther_from_the_picture(operator: Degradation) -> None:
    n = 16
    x = texture(n, 64, 64)
    qualities = [psnr(x, operator(x, generators(n, 2), torch.full((n,), level))).mean() for level in (0.1, 0.4, 0.7, 1)]
    assert all(weak > strong + 0.3 for weak, strong in pairwise(qualities)), qualities


def test_samples_are_independent(operator: Degradation) -> None:
    x = texture(16, 32, 48)
    together = operator(x, generators(16, 3))
    params = operator.draw(16, generators(16, 3))
    for index in range(16):
        alone = operator(x[index : index + 1], [generator(3, index)])
        assert torch.equal(alone[0], together[index])
        own = operator.draw(1, [generator(3, index)])
        assert all(torch.equal(own[name][0], params[name][index]) for name in params)


def test_one_draw_serves_all_sizes(operator: Degradation) -> None:
    """The residual has the same standard deviation and the same fine detail at 64, 128 and 512 px."""
    n, tolerance = 8, 0.1
    params = operator.draw(n, generator(5))
    before = {name: value.clone() for name, value in params.items()}
    statistics = []
    for size, copies in ((64, 8), (128, 4), (512, 1)):
        many = {name: value.repeat_interleave(copies, dim=0) for name, value in params.items()}
        x = texture(n * copies, size, size, seed=size)
        residual = operator.apply(x, many, generator(6, size)) - x
        detail = residual[..., 1:] - residual[..., :-1]
        deviations = torch.stack([residual.std((1, 2, 3)), detail.std((1, 2, 3))])
        statistics.append(deviations.view(2, n, copies).mean(2))
    assert all(torch.equal(before[name], params[name]) for name in params)
    *small, large = statistics
    assert all(((other - large).abs() <= tolerance * large + 1e-3).all() for other in small), statistics


def test_dtypes_sizes_and_range(operator: Degradation) -> None:
    params = operator.draw(3, generators(3, 7))
    for height, width in ((16, 16), (17, 31), (300, 33)):
        x = (texture(3, height, width) * 1.4 - 0.2).clamp(0, 1)
        untouched = x.clone()
        y = operator.apply(x, params, generators(3, 8))
        assert torch.equal(x, untouched)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()
        assert y.min() >= 0
        assert y.max() <= 1
    half = operator.apply(x.bfloat16(), params, generators(3, 8))
    full = operator.apply(x.bfloat16().float(), params, generators(3, 8))
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max() <= 0.005


def test_same_seed_same_picture(operator: Degradation) -> None:
    x = texture(4, 32, 32)
    assert torch.equal(operator(x, generator(9)), operator(x, generator(9)))
    assert not torch.equal(operator(x, generator(9)), operator(x, generator(10)))


def test_parameters_are_drawn_for_each_sample(operator: Degradation) -> None:
    params = operator.draw(64, generator(4))
    assert "severity" in params
    assert all(len(value) == 64 and value.device.type == "cpu" for value in params.values())
    constant = {name for name, value in params.items() if bool((value == value[0]).all())}
    fixed_by_the_constructor = {"kind", "sigma", "shot", "read", "poisson", "grey", "down", "up"}
    assert constant <= (set() if operator == type(operator)() else fixed_by_the_constructor)
