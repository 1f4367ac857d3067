import re
import warnings
from dataclasses import replace
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors.torch import load_file
from torch import Tensor

from defusion.evaluation.benchmarks import BENCHMARKS
from defusion.evaluation.metrics import MAX_PSNR
from defusion.evaluation.protocol import Protocol, resize_for
from tests.evaluation.references import alexnet, degraded, metric, pair, perceptual, photographs, realblur

WEATHER = Protocol(resize="weather")
PROTOCOLS = [
    *sorted({benchmark.protocol for benchmark in BENCHMARKS.values()}, key=repr),
    Protocol(border=4, ssim="3d", extra=("mae", "psnr_y")),
    Protocol(psnr="y", ssim="y", border=2, eight_bit=False),
]


def expected_scores(protocol: Protocol, prediction: Tensor, target: Tensor) -> dict[str, list[float]]:
    """By the references alone: pictures as PNG would have them, cropped in numpy."""
    pictures = [prediction.clamp(0, 1), target]
    if protocol.eight_bit:
        pictures = [torch.from_numpy(np.rint(x.numpy() * 255).astype(np.uint8)).float() / 255 for x in pictures]
    if protocol.align:
        rows = [realblur(a, b) for a, b in zip(*pictures, strict=True)]
        return dict(zip(("psnr", "ssim"), map(list, zip(*rows, strict=True)), strict=True))
    inside = slice(protocol.border, -protocol.border or None)
    pictures = [x[:, :, inside, inside] for x in pictures]
    names = {"psnr": f"psnr_{protocol.psnr}", "ssim": f"ssim_{protocol.ssim}"}
    names |= {name: name for name in protocol.extra if name != "lpips"}
    return {key: metric(name, pictures[0], pictures[1]) for key, name in names.items()}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
@pytest.mark.parametrize("kind", ["noise", "blur", "tint"])
def test_each_test_set_scores_as_the_reference(protocol: Protocol, kind: str) -> None:
    target = photographs(75, 98)
    prediction = degraded(kind, target) * 1.05 - 0.02
    expected = expected_scores(protocol, prediction, target)
    scores = protocol.scores(prediction, target)
    assert tuple(scores) == protocol.names(perceptual=False)
    assert scores.keys() == expected.keys()
    for name, values in scores.items():
        assert values.shape == (3,)
        assert values.tolist() == pytest.approx(expected[name], abs=1e-3), name


def test_rounding_to_eight_bits_is_that_of_a_saved_picture() -> None:
    prediction, target = pair(32, 32, strength=0.004)
    saved = [(x * 255).round().byte().float() / 255 for x in (prediction, target)]
    rounded, floats = Protocol(), Protocol(eight_bit=False)
    for name, values in rounded.scores(prediction, target).items():
        assert torch.equal(values, floats.scores(saved[0], saved[1])[name])
        assert not torch.equal(values, floats.scores(prediction, target)[name])


@pytest.mark.parametrize("ssim", ["rgb", "y", "3d"])
def test_the_border_is_left_out(ssim: Any) -> None:
    prediction, target = pair(40, 33)
    protocol = Protocol(ssim=ssim, border=3, extra=("mae",))
    spoilt = torch.rand(prediction.shape)
    spoilt[..., 3:-3, 3:-3] = prediction[..., 3:-3, 3:-3]
    scores = protocol.scores(prediction, target)
    for name, values in protocol.scores(spoilt, target).items():
        assert torch.equal(values, scores[name])
        assert not torch.equal(values, replace(protocol, border=2).scores(spoilt, target)[name])


def test_equal_pictures_count_as_a_finite_psnr() -> None:
    _, target = pair(32, 32)
    scores = Protocol(extra=("psnr_y", "mae", "ssim_3d")).scores(target, target)
    assert {name: values.tolist() for name, values in scores.items()} == {
        "psnr": [MAX_PSNR] * 2,
        "ssim": pytest.approx([1, 1]),
        "psnr_y": [MAX_PSNR] * 2,
        "mae": [0, 0],
        "ssim_3d": pytest.approx([1, 1]),
    }
    cat = photographs(120, 150)[1:2]  # some 130 dB apart after the alignment
    assert Protocol(align=True).scores(cat, cat)["psnr"].item() == MAX_PSNR


def test_lpips_is_that_of_its_package() -> None:
    weights = load_file(alexnet())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's old arguments
        package = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = [layer for layer in package.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer, number in zip(layers, (0, 3, 6, 8, 10), strict=True):
        layer.load_state_dict({name: weights[f"features.{number}.{name}"].float() for name in ("weight", "bias")})
    target = photographs(96, 80)
    prediction = torch.stack([degraded(kind, target)[row] for row, kind in enumerate(("noise", "blur", "tint"))])
    protocol = Protocol(eight_bit=False, extra=("mae", "lpips"))
    scores = protocol.scores(prediction, target, perceptual())
    assert tuple(scores) == protocol.names(perceptual=True) == ("psnr", "ssim", "mae", "lpips")
    with torch.no_grad():
        expected = package(prediction, target, normalize=True).flatten()
    assert expected.min() > 0.01
    torch.testing.assert_close(scores["lpips"], expected, atol=1e-4, rtol=0)


def test_lpips_sees_the_rounded_pictures_without_the_border() -> None:
    prediction, target = pair(32, 30, strength=0.01)
    seen = []

    def distance(a: Tensor, b: Tensor) -> Tensor:
        seen.append((a, b))
        return (a - b).abs().max()

    scores = Protocol(border=5, extra=("lpips",)).scores(prediction, target, distance)
    for row, (a, b) in enumerate(seen):
        assert a.shape == b.shape == (1, 3, 22, 20)
        torch.testing.assert_close(a * 255, (prediction[row, :, 5:-5, 5:-5] * 255).round()[None], rtol=0, atol=1e-4)
        assert scores["lpips"][row] == (a - b).abs().max()
    assert len(seen) == 2
    assert "lpips" not in Protocol().scores(prediction, target, distance)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra": ("niqe",)}, "extra: expected metrics of psnr_rgb, .*, lpips, got 'niqe'"),
        ({"psnr": "3d"}, "psnr: expected one of 'rgb', 'y', got '3d'"),
        ({"ssim": "Y"}, "ssim: expected one of 'rgb', 'y', '3d', got 'Y'"),
        ({"resize": "half"}, "resize: expected 'none' or 'weather', got 'half'"),
        ({"border": -1}, "border: expected 0 px or more, got -1"),
        ({"align": True, "psnr": "y"}, "align: .* got psnr='y'"),
        ({"align": True, "extra": ("mae",)}, r"align: .* extra=\('mae',\)"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Protocol(**options)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Protocol().scores(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 31))
    with pytest.raises(ValueError, match=re.escape("twice the border of 16 px a side, got (40, 32)")):
        Protocol(border=16).scores(torch.rand(1, 3, 40, 32), torch.rand(1, 3, 40, 32))
    with pytest.raises(ValueError, match="at least 11 px"):
        Protocol(border=16).scores(torch.rand(1, 3, 40, 33), torch.rand(1, 3, 40, 33))


def test_descriptions_tell_protocols_apart() -> None:
    told = {protocol.describe() for protocol in PROTOCOLS}
    assert len(told) == len(PROTOCOLS)
    assert Protocol().describe() == (
        "PSNR: RGB, both pictures rounded to 8 bits, no border crop; SSIM: Gaussian window (11 px, sigma 1.5) "
        "where it lies inside, mean of the RGB channels. Mean over pictures of per-picture values."
    )
    words = Protocol("y", "3d", eight_bit=False, border=4, extra=("mae",), resize="weather", note="as X").describe()
    for part in ("luma", "MATLAB", "floats", "4 px of border", "MAE: mean absolute", "1024 px", "As X."):
        assert part in words
    assert "ECC homography" in Protocol(align=True).describe()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (16, 16)),
        ((640, 480), (640, 480)),
        ((481, 321), (496, 336)),
        ((1024, 1024), (1024, 1024)),
        ((1025, 700), (1024, 704)),
        ((700, 1025), (704, 1024)),
        ((2000, 2000), (1024, 1024)),
        ((1283, 722), (1024, 592)),  # 576.3, up to 577, up to 592: rounded to the nearest it would stay at 576
        ((3000, 17), (1024, 16)),
    ],
)
def test_the_weather_rule_gives_these_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = resize_for(WEATHER, picture)
    assert resized.shape == (*expected, 3)
    assert resized.dtype == np.uint8
    by_pillow = Picture.fromarray(picture).resize(expected[::-1], Picture.Resampling.LANCZOS)
    assert np.array_equal(resized, np.asarray(by_pillow))
    assert np.array_equal(resize_for(WEATHER, resized), resized)
    assert resize_for(Protocol(), picture) is picture


@pytest.mark.parametrize("picture", [np.zeros((20, 20, 3), np.uint16), np.zeros((20, 20), np.uint8)])
def test_only_rgb_of_eight_bits_is_resized(picture: Any) -> None:
    with pytest.raises(ValueError, match=r"picture: expected \(H, W, 3\) uint8"):
        resize_for(WEATHER, picture)
    assert resize_for(Protocol(), picture) is picture
