import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from defusion.evaluation import alignment
from defusion.evaluation.alignment import Aligned, align, masked_psnr, masked_ssim
from defusion.evaluation.metrics import psnr, ssim, ssim_map
from defusion.evaluation.protocol import Protocol
from tests.evaluation.references import degraded, photographs, realblur

ALIGNED = Protocol(eight_bit=False, align=True)
HEIGHT, WIDTH = 200, 260  # ECC needs texture: on small flat pictures its iterations may leave the optimum again


def moved(picture: Tensor, matrix: list[list[float]]) -> Tensor:
    """A picture (3, H, W) seen through a homography, by OpenCV."""
    source = picture.permute(1, 2, 0).contiguous().numpy()
    warped = cv2.warpPerspective(
        source, np.array(matrix), source.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return torch.from_numpy(np.asarray(warped)).permute(2, 0, 1).clamp(0, 1)


HOMOGRAPHIES = {
    "shift": [[1, 0, 2.4], [0, 1, -1.3], [0, 0, 1]],
    "far": [[1, 0, 9.2], [0, 1, -7.6], [0, 0, 1]],  # beyond the 5 px that SSIM leaves out
    "turn": [[math.cos(0.01), -math.sin(0.01), 1], [math.sin(0.01), math.cos(0.01), 0], [0, 0, 1]],
    "perspective": [[1.01, 0.002, -1], [0.003, 0.99, 1], [1e-5, -2e-5, 1]],
}


@pytest.mark.parametrize("matrix", HOMOGRAPHIES.values(), ids=HOMOGRAPHIES)
@pytest.mark.parametrize("kind", ["noise", "blur", "dark"])
def test_scores_are_those_of_the_script_of_realblur(matrix: list[list[float]], kind: str) -> None:
    target = photographs(120, 150)
    prediction = torch.stack([moved(picture, matrix) for picture in degraded(kind, target)])
    scores = ALIGNED.scores(prediction, target)
    for row in range(3):
        noise, structure = realblur(prediction[row], target[row])
        assert scores["psnr"][row].item() == pytest.approx(noise, abs=1e-3)
        assert scores["ssim"][row].item() == pytest.approx(structure, abs=1e-4)


@pytest.mark.parametrize("matrix", HOMOGRAPHIES.values(), ids=HOMOGRAPHIES)
def test_a_known_movement_and_brightness_are_undone(matrix: list[list[float]]) -> None:
    target = photographs(HEIGHT, WIDTH)
    prediction = torch.stack([0.8 * moved(picture, matrix) for picture in target])
    scores = ALIGNED.scores(prediction, target)
    assert psnr(prediction, target).max() < 25
    assert scores["psnr"].min() > 30
    assert (scores["ssim"] - ssim(prediction, target)).min() > 0.1


def test_a_whole_shift_is_undone_exactly_where_both_are_known() -> None:
    scene = photographs(HEIGHT, WIDTH)[1]
    target, prediction = scene[:, 3:, 2:], scene[:, :-3, :-2]  # 3 px up and 2 px left of it
    pair = align(prediction, target, "scene")
    assert pair.mask.shape == (HEIGHT - 3, WIDTH - 2)
    expected = torch.ones_like(pair.mask)
    expected[-3:], expected[:, -2:] = 0, 0
    assert (pair.mask != expected).sum() <= 2 * (HEIGHT + WIDTH)  # the edge, to a pixel
    assert pair.mask[-2:].max() == pair.mask[:, -1:].max() == 0
    assert pair.mask[5:-5, 5:-5].min() == 1
    assert masked_psnr(pair) > 40
    assert masked_ssim(pair) > 0.99


def test_brightness_alone_is_undone() -> None:
    target = photographs(HEIGHT, WIDTH)[1]
    pair = align(0.5 * target, target, "dark")
    assert pair.mask.mean() > 0.97
    assert masked_psnr(pair) > 60
    assert psnr(0.5 * target[None], target[None]) < 20


def test_outside_the_mask_nothing_counts() -> None:
    target, prediction = photographs(40, 50)[0], degraded("noise", photographs(40, 50))[0]
    mask = torch.ones(40, 50)
    mask[:, 30:] = 0
    pair = Aligned(prediction * mask, target * mask, mask)
    error = (prediction - target)[..., :30].square().mean().item()
    assert masked_psnr(pair).item() == pytest.approx(-10 * math.log10(error), abs=1e-4)
    similarity = ssim_map(pair.prediction[None], pair.target[None])[..., :25]  # from column 5 to column 29
    assert masked_ssim(pair).item() == pytest.approx(similarity.mean().item(), abs=1e-5)
    unmasked = Aligned(prediction, target, torch.ones(40, 50))
    whole = ssim(prediction[None], target[None]).item()
    assert masked_ssim(unmasked).item() == pytest.approx(whole, abs=1e-5)
    assert abs(masked_ssim(pair).item() - whole) > 1e-3


def flat(target: Tensor) -> Tensor:
    return torch.full_like(target, 0.3)


def inverse(target: Tensor) -> Tensor:
    return 1 - target


@pytest.mark.parametrize("spoil", [flat, inverse, torch.zeros_like])
def test_a_picture_that_cannot_be_aligned_is_named_and_scored_in_its_place(spoil: Callable[[Tensor], Tensor]) -> None:
    target = photographs(60, 70)[0]
    prediction = spoil(target)
    with pytest.warns(RuntimeWarning, match="picture scene001/7: ECC did not converge"):
        pair = align(prediction, target, "scene001/7")
    energy = prediction.square().sum()
    scaled = prediction * ((prediction * target).sum() / energy if energy > 0 else 1)
    assert pair.mask.min() == 1
    torch.testing.assert_close(pair.prediction, scaled)
    expected = -10 * (scaled - target).square().mean().log10().item()
    assert masked_psnr(pair).item() == pytest.approx(expected, abs=1e-3)


def test_an_alignment_that_leaves_nothing_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    away = np.array([[1, 0, 1000], [0, 1, 0], [0, 0, 1]], np.float32)
    monkeypatch.setattr(alignment.cv2, "findTransformECC", lambda *_: (0.1, away))
    target = photographs(60, 70)[0]
    with pytest.warns(RuntimeWarning, match="picture far"):
        pair = align(target, target, "far")
    assert torch.equal(pair.prediction, target)


def test_one_bad_picture_spoils_no_other() -> None:
    target = photographs(60, 70)
    prediction = degraded("noise", target)
    alone = ALIGNED.scores(prediction, target)
    prediction[1] = 0.3
    with pytest.warns(RuntimeWarning, match="picture b:"):
        scores = ALIGNED.scores(prediction, target, names=["a", "b", "c"])
    for name, values in scores.items():
        assert torch.equal(values[[0, 2]], alone[name][[0, 2]])
        assert values[1] < alone[name][1]
    with pytest.warns(RuntimeWarning, match="picture 1 of the batch:"):
        ALIGNED.scores(prediction, target)


def test_shapes_are_checked() -> None:
    for shape, other in (((3, 20, 20), (3, 20, 21)), ((1, 3, 20, 20),) * 2, ((1, 20, 20),) * 2):
        with pytest.raises(ValueError, match=r"one shape \(3, H, W\)"):
            align(torch.rand(shape), torch.rand(other), "x")
    with pytest.raises(ValueError, match="at least 11 px a side to align"):
        align(torch.rand(3, 10, 20), torch.rand(3, 10, 20), "x")
