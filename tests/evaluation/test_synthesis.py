"""Degraded pictures are made as the field makes them, and the same each time."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from defusion.degradations.compression import jpeg
from defusion.degradations.standard import degrade
from defusion.evaluation.benchmarks import BENCHMARKS, Synthesis
from defusion.evaluation.synthesis import degradation_of, make_input
from defusion.imageio import find_images, read_image, to_tensor, to_uint8

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "benchmarks"
KINDS = [Synthesis("awgn", 25), Synthesis("jpeg", 10), Synthesis("standard")]


@pytest.fixture
def target() -> Tensor:
    """A smooth picture with an edge, of sides that are no multiples of 8."""
    ramp = torch.linspace(0.2, 0.8, 61).expand(3, 45, 61).clone()
    ramp[1, :, 30:] = 0.3
    return ramp.mul(255).round().div(255)


@pytest.mark.parametrize("synthesis", KINDS, ids=lambda synthesis: synthesis.kind)
def test_inputs_are_of_8_bits_and_fixed_by_seed_and_number(synthesis: Synthesis, target: Tensor) -> None:
    before = torch.get_rng_state()
    degraded = make_input(synthesis, "rain+noise", target, 3, seed=7)
    assert degraded.shape == target.shape
    assert degraded.dtype == torch.float32
    torch.testing.assert_close(degraded * 255, (degraded * 255).round(), rtol=0, atol=1e-4)
    assert 0 <= degraded.min() < degraded.max() <= 1
    assert not torch.equal(degraded, target)
    assert torch.equal(degraded, make_input(synthesis, "rain+noise", target, 3, seed=7))
    is_random = synthesis.kind != "jpeg"
    assert torch.equal(degraded, make_input(synthesis, "rain+noise", target, 4, seed=7)) != is_random
    assert torch.equal(degraded, make_input(synthesis, "rain+noise", target, 3, seed=8)) != is_random
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("sigma", [15, 50])
def test_white_noise_has_its_deviation_and_is_clipped(sigma: int) -> None:
    grey = torch.full((3, 200, 200), 128 / 255)
    noise = (make_input(Synthesis("awgn", sigma), "noise", grey, 0, seed=1) - grey) * 255
    assert float(noise.mean()) == pytest.approx(0, abs=0.5)
    clipped = np.random.default_rng(0).normal(128, sigma, 10**6).clip(0, 255).std()
    assert float(noise.std()) == pytest.approx(clipped, rel=0.02)
    channels = noise.flatten(1)
    assert float(torch.corrcoef(channels)[0, 1]) == pytest.approx(0, abs=0.03)
    black = make_input(Synthesis("awgn", sigma), "noise", torch.zeros(3, 64, 64), 0, seed=1)
    assert float((black == 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_jpeg_is_pillows_own_with_halved_chroma(target: Tensor) -> None:
    def coded(**options: object) -> Tensor:
        file = BytesIO()
        Image.fromarray(to_uint8(target)).save(file, "JPEG", quality=10, **options)
        return to_tensor(np.array(Image.open(file)))

    degraded = make_input(Synthesis("jpeg", 10), "jpeg", target, 0, seed=0)
    assert torch.equal(degraded, coded(subsampling=2))
    assert not torch.equal(degraded, coded(subsampling=0))
    assert not torch.equal(degraded, make_input(Synthesis("jpeg", 20), "jpeg", target, 0, seed=0))


def test_standard_is_the_degradation_of_the_task(target: Tensor) -> None:
    degraded = make_input(Synthesis("standard"), "rain+snow", target, 5, seed=2025)
    expected = degrade(target[None], "rain+snow", 2025, 5)[0]
    torch.testing.assert_close(degraded, expected, rtol=0, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("severity", [None, 0.9])
def test_the_degradation_of_a_picture_is_at_hand_with_its_parameters(target: Tensor, severity: float | None) -> None:
    synthesis = Synthesis("standard", severity=severity)
    degraded = degradation_of(synthesis, "rain+snow", 5, seed=2025).apply(target[None])[0]
    made = make_input(synthesis, "rain+snow", target, 5, seed=2025)
    torch.testing.assert_close(degraded, made, rtol=0, atol=0.5 / 255 + 1e-6)


def test_noise_and_jpeg_are_at_hand_at_their_level() -> None:
    grey = torch.full((1, 3, 200, 200), 0.5)
    for sigma in (15, 50):
        noise = degradation_of(Synthesis("awgn", sigma), "noise", 0, seed=1)
        assert float((noise.apply(grey * 1.0) - grey).std()) * 255 == pytest.approx(sigma, rel=0.03)
    texture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    for quality in (10, 40):
        coded = degradation_of(Synthesis("jpeg", quality), "jpeg", 0, seed=1).apply(texture)
        assert torch.equal(coded, jpeg(texture, torch.tensor([float(quality)])))


@pytest.mark.parametrize(
    ("name", "psnr"), [("live1", 25.69), ("cbsd68_s15", 24.84), ("cbsd68_s25", 20.53), ("cbsd68_s50", 15.00)]
)
def test_inputs_of_published_sets_score_as_in_the_field(name: str, psnr: float) -> None:
    benchmark = BENCHMARKS[name]
    folder = SAMPLES / benchmark.folders[0] / "target"
    if not folder.is_dir():
        pytest.skip(f"no references in {folder}")
    assert benchmark.synthesis is not None
    paths = find_images(folder)
    assert len(paths) == benchmark.count
    scores, similarities = [], []
    for number, path in enumerate(paths):
        clean = read_image(path)
        degraded = to_uint8(make_input(benchmark.synthesis, benchmark.task, to_tensor(clean), number, seed=2025))
        scores.append(peak_signal_noise_ratio(clean, degraded))
        if name == "live1":
            gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
            similarities.append(structural_similarity(clean, degraded, channel_axis=2, **gaussian))
    assert np.mean(scores) == pytest.approx(psnr, abs=0.03)
    if name == "live1":
        assert np.mean(similarities) == pytest.approx(0.743, abs=0.005)
