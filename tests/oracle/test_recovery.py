"""Known parameters are recovered from one pair."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.degradations.blur import DefocusBlur, MotionBlur
from defusion.degradations.compression import jpeg
from defusion.degradations.haze import Haze
from defusion.degradations.noise import Noise
from defusion.degradations.water import Underwater
from defusion.oracle import fit
from defusion.oracle.fitted import lookup
from defusion.oracle.noise import MeasuredNoise, left_by_clipping
from defusion.random import generator, normal
from defusion.types import Image
from tests.oracle.examples import SIZE, correlation, eight_bit, example, photo

CPU = torch.device("cpu")
GREY = torch.linspace(0.2, 0.7, 6)[:, None, None, None].expand(6, 3, 96, 96)


def noisy(picture: Tensor, sigma: float, seed: int = 0) -> Tensor:
    return eight_bit(picture + sigma / 255 * normal(1, picture.shape, generator(seed))[0])


@pytest.mark.parametrize("sigma", [2.0, 5.0, 15.0, 25.0, 50.0])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_sigma_of_white_noise_though_it_is_clipped(sigma: float, name: str) -> None:
    hq = photo(name, 160)
    fitted = fit("noise", noisy(hq, sigma), hq)
    assert isinstance(fitted.operator, Noise)
    assert fitted.params["sigma"].item() == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.5, 0.95])
def test_what_clipping_leaves_of_noise(x: float) -> None:
    sigma = np.array([0.0, 0.05, 0.2])
    draws = np.clip(x + sigma[:, None] * np.random.default_rng(0).standard_normal(200_000), 0, 1)
    assert left_by_clipping(x, sigma) == pytest.approx(((draws - x) ** 2).mean(1), rel=0.02, abs=1e-12)


@pytest.mark.parametrize(("kinds", "grey"), [((0, 1, 0), 0.0), ((0, 0, 1), 0.0), ((0, 0, 1), 1.0)])
def test_strength_colour_and_grain_of_other_noise(kinds: tuple[float, float, float], grey: float) -> None:
    noise, hq = Noise(kinds=kinds, grey=grey), photo("chelsea")
    params = noise.draw(1, generator(0), torch.tensor([0.4]))
    fitted = fit("noise", eight_bit(noise.apply(hq[None], params, generator(1))[0]), hq)
    assert isinstance(fitted.operator, MeasuredNoise)
    six = {name: value.expand(6, *value.shape[1:]) for name, value in params.items()}
    true, shown = noise.apply(GREY, six, generator(2)) - GREY, fitted.apply(GREY, generator(3)) - GREY
    torch.testing.assert_close(shown.std((2, 3)), true.std((2, 3)), rtol=0.15, atol=2e-3)
    for one, other in ((slice(1), slice(1, 2)), (slice(1), slice(2, 3))):
        assert correlation(shown[:, one], shown[:, other]) == pytest.approx(
            correlation(true[:, one], true[:, other]), abs=0.1
        )
    assert correlation(shown[..., 1:], shown[..., :-1]) == pytest.approx(
        correlation(true[..., 1:], true[..., :-1]), abs=0.05
    )


@pytest.mark.parametrize("sigma", [0.0, 2.0])
@pytest.mark.parametrize("severity", [0.2, 0.5, 0.9])
def test_kernel_of_motion_under_mild_noise(severity: float, sigma: float) -> None:
    blur, hq = MotionBlur(), photo("coffee")
    params = blur.draw(1, generator(3), torch.tensor([severity]))
    kernel = fit("motion_blur", noisy(blur.apply(hq[None], params, generator(0))[0], sigma), hq).params["kernel"][0]
    assert correlation(kernel, F.pad(params["kernel"][0], (2, 2, 2, 2))) > 0.9
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0


@pytest.mark.parametrize("severity", [0.2, 0.5, 0.8])
def test_radius_of_defocus(severity: float) -> None:
    pair = example("defocus_blur", severity, "chelsea")
    nearest, farthest = pair.true("radius").tolist()
    blades = float(pair.true("blades"))
    if blades:  # a disc of the polygon's area
        disc = (blades / 2 / math.pi * math.sin(2 * math.pi / blades)) ** 0.5
        nearest, farthest = disc * nearest, disc * farthest
    smallest, largest = pair.found("radius").tolist()
    assert nearest - 1 < smallest <= largest < farthest + 1
    assert (smallest + largest) / 2 == pytest.approx((nearest + farthest) / 2, abs=0.6)
    assert largest <= DefocusBlur().max_radius


@pytest.mark.parametrize("severity", [0.2, 0.5, 0.8])
def test_ratio_and_loss_of_resolution(severity: float) -> None:
    pair = example("downsample", severity, "chelsea")
    assert float(pair.found("ratio")) == pytest.approx(float(pair.true("ratio")), abs=0.02)
    again = pair.fitted.apply(pair.hq[None], generator(0))[0]
    assert (again - pair.lq).square().mean() < 0.01 * (pair.hq - pair.lq).square().mean()


@pytest.mark.parametrize("severity", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_airlight_and_transmission_of_haze(severity: float, name: str) -> None:
    pair = example("haze", severity, name)
    params = {key.removeprefix("haze."): value for key, value in pair.params.items()}
    t = Haze().transmission(params, SIZE, SIZE, CPU)
    torch.testing.assert_close(pair.found("veil"), pair.true("airlight"), rtol=0, atol=0.03)
    assert pair.found("transmission").median().item() == pytest.approx(t.median().item(), abs=0.05)
    blocks = F.adaptive_avg_pool2d(t, pair.found("transmission").shape[-1])[0]
    assert (pair.found("transmission") - blocks).abs().mean() < 0.03


@pytest.mark.parametrize("severity", [0.25, 0.5, 0.9])
def test_veil_transmission_blur_and_noise_of_water(severity: float) -> None:
    pair = example("underwater", severity, "coffee")
    params = {key.removeprefix("underwater."): value for key, value in pair.params.items()}
    t = Underwater().transmission(params, SIZE, SIZE, CPU)[0]
    torch.testing.assert_close(pair.found("veil"), pair.true("veil"), rtol=0, atol=0.05)
    found, true = (value.flatten(1).median(1).values for value in (pair.found("transmission"), t))
    torch.testing.assert_close(found, true, rtol=0, atol=0.05)
    least = 0.3  # pixels: less blur is none
    assert max(pair.found("blur").item(), least) == pytest.approx(max(pair.true("blur").item(), least), abs=0.1)
    assert pair.found("noise").item() == pytest.approx(pair.true("noise").item(), rel=0.15, abs=5e-4)


@pytest.mark.parametrize("severity", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_tone_curve_of_low_light(severity: float, name: str) -> None:
    pair = example("low_light", severity, name)
    x = torch.linspace(0, 1, 101).expand(1, 3, 1, 101)
    curve = lookup(pair.found("curve")[None], x)
    scale, brightness, gamma = (pair.true(key) for key in ("scale", "brightness", "gamma"))
    assert (curve - brightness * (scale * x) ** gamma).abs().max() < 0.02
    assert (curve.diff(dim=3) >= 0).all()


@pytest.mark.parametrize("quality", [3, 5, 10, 20, 35, 50, 75, 90])
def test_quality_of_jpeg(quality: int) -> None:
    hq = photo("coffee", 150)
    lq: Image = jpeg(hq[None], torch.tensor([float(quality)]))
    assert abs(fit("jpeg", lq[0], hq).params["quality"].item() - quality) <= 2


@pytest.mark.parametrize("severity", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("task", ["rain", "snow"])
def test_severity_of_particles(task: str, severity: float) -> None:
    pair = example(task, severity, "chelsea")
    assert float(pair.found("severity")) == pytest.approx(severity, abs=0.2)


def test_direction_of_rain() -> None:
    pair = example("rain", 0.5, "chelsea")
    assert float(pair.found("angle")) == pytest.approx(float(pair.true("angle")), abs=0.1)
