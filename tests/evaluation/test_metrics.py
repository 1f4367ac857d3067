import math

import pytest
import torch

from defusion.evaluation.metrics import luma, mae, psnr, psnr_y, ssim, ssim_3d, ssim_map, ssim_y
from tests.evaluation.references import degraded, metric, pair, photographs

SIZES = [(32, 32), (11, 11), (33, 47), (64, 50), (101, 37), (128, 96)]
METRICS = {
    "psnr_rgb": psnr,
    "psnr_y": psnr_y,
    "ssim_rgb": ssim,
    "ssim_y": ssim_y,
    "ssim_3d": ssim_3d,
    "mae": mae,
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_random_pairs_score_as_the_reference(name: str, height: int, width: int) -> None:
    prediction, target = pair(height, width)
    expected = metric(name, prediction, target)
    assert METRICS[name](prediction, target).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", ["noise", "blur", "dark", "tint", "near"])
def test_photographs_score_as_the_reference(name: str, kind: str) -> None:
    target = photographs(91, 121)
    prediction = degraded(kind, target)
    expected = metric(name, prediction, target)
    assert METRICS[name](prediction, target).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["ssim_rgb", "ssim_y", "ssim_3d"])
def test_flat_bright_pictures_are_exact(name: str) -> None:
    # The variance of a bright, flat picture is a difference of two numbers near one.
    own = torch.Generator().manual_seed(2)
    target = 0.98 + 0.002 * torch.rand(1, 3, 40, 40, generator=own)
    prediction = 0.98 + 0.002 * torch.rand(1, 3, 40, 40, generator=own)
    expected = metric(name, prediction, target)
    assert METRICS[name](prediction, target).tolist() == pytest.approx(expected, abs=1e-3)


def test_luma_has_the_levels_of_bt_601() -> None:
    colours = {(0, 0, 0): 16, (1, 1, 1): 235, (1, 0, 0): 81.481, (0, 1, 0): 144.553, (0, 0, 1): 40.966}
    for colour, level in colours.items():
        assert 255 * luma(torch.tensor(colour).float().view(1, 3, 1, 1)).item() == pytest.approx(level, abs=1e-3)


def test_the_variants_are_told_apart() -> None:
    target = photographs(64, 64)
    prediction = degraded("tint", target)
    values = {name: metric(prediction, target) for name, metric in METRICS.items()}
    # Luma spans 219 of 255 levels and averages the channels; the third axis mixes them.
    assert (values["psnr_y"] - values["psnr_rgb"]).min() > 1
    for one, other in (("ssim_rgb", "ssim_y"), ("ssim_rgb", "ssim_3d"), ("ssim_y", "ssim_3d")):
        assert (values[one] - values[other]).abs().min() > 1e-3


def test_the_third_axis_sees_which_channel_is_which() -> None:
    target = photographs(48, 48)
    prediction = degraded("tint", target)
    swapped = [x[:, [1, 0, 2]] for x in (prediction, target)]
    torch.testing.assert_close(ssim(*swapped), ssim(prediction, target))
    assert (ssim_3d(*swapped) - ssim_3d(prediction, target)).abs().max() > 1e-3


@pytest.mark.parametrize("name", METRICS)
def test_scores_are_symmetric_and_best_for_equal_pictures(name: str) -> None:
    prediction, target = pair(40, 30)
    torch.testing.assert_close(METRICS[name](prediction, target), METRICS[name](target, prediction))
    best = {"psnr": math.inf, "ssim": 1.0, "mae": 0.0}[name.split("_")[0]]
    assert METRICS[name](target, target).tolist() == pytest.approx([best, best])


@pytest.mark.parametrize("name", METRICS)
def test_half_precision_and_autocast_do_not_change_the_scores(name: str) -> None:
    prediction, target = pair(48, 48)
    prediction = prediction.bfloat16()
    expected = metric(name, prediction.float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = METRICS[name](prediction, target)
    assert values.dtype == torch.float32
    assert values.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
def test_predictions_out_of_range_are_clamped(name: str) -> None:
    prediction, target = pair(32, 32)
    beyond = torch.where(prediction > 0.9, prediction + 1, prediction)
    clamped = torch.where(prediction > 0.9, 1.0, prediction)
    assert torch.equal(METRICS[name](beyond, target), METRICS[name](clamped, target))


@pytest.mark.parametrize("name", METRICS)
def test_pictures_of_a_batch_are_scored_apart(name: str) -> None:
    prediction, target = pair(24, 31)
    apart = torch.cat([METRICS[name](prediction[row : row + 1], target[row : row + 1]) for row in range(2)])
    torch.testing.assert_close(METRICS[name](prediction, target), apart)
    assert apart[0] != apart[1]


def test_the_map_of_ssim_has_a_value_for_each_whole_window() -> None:
    prediction, target = pair(20, 31)
    similarity = ssim_map(prediction, target)
    assert similarity.shape == (2, 3, 10, 21)
    # A value sees 5 px about itself and nothing else.
    changed = prediction.clone()
    changed[..., 8, 9] = 1 - changed[..., 8, 9]
    touched = (ssim_map(changed, target) != similarity).any(dim=1).any(dim=0).nonzero()
    assert touched.amin(dim=0).tolist() == [0, 0]
    assert touched.amax(dim=0).tolist() == [8, 9]


@pytest.mark.parametrize("name", METRICS)
def test_shapes_are_checked(name: str) -> None:
    score = METRICS[name]
    for shape, other in (((2, 3, 32, 32), (1, 3, 32, 32)), ((3, 32, 32), (3, 32, 32)), ((1, 1, 32, 32),) * 2):
        with pytest.raises(ValueError, match="one shape"):
            score(torch.rand(shape), torch.rand(other))
    if name in ("ssim_rgb", "ssim_y"):
        with pytest.raises(ValueError, match="at least 11 px"):
            score(torch.rand(1, 3, 10, 32), torch.rand(1, 3, 10, 32))


def test_the_volume_may_be_smaller_than_its_window() -> None:
    prediction, target = pair(7, 5)
    assert ssim_3d(prediction, target).tolist() == pytest.approx(metric("ssim_3d", prediction, target), abs=1e-4)
