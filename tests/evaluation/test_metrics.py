import math
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from defusion.evaluation.metrics import MAX_PSNR, TaskMetrics, TaskResult, psnr, ssim
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss

SIZES = [(32, 32), (11, 11), (33, 47), (64, 50), (101, 37), (128, 96)]


def pair(height: int, width: int, strength: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A noisy picture and its reference, (2, 3, H, W), the second pair harder than the first."""
    own = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, height, width, generator=own)
    noise = torch.randn(target.shape, generator=own) * torch.tensor([strength, 3 * strength])[:, None, None, None]
    return (target + noise).clamp(0, 1), target


def photographs(height: int, width: int) -> Tensor:
    pictures = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    crops = [picture[40 : 40 + height, 60 : 60 + width, :3] for picture in pictures]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def reference(prediction: Tensor, target: Tensor) -> tuple[list[float], list[float]]:
    """PSNR and SSIM of each pair by scikit-image, in double precision."""
    pairs = [
        (a.permute(1, 2, 0).double().numpy(), b.permute(1, 2, 0).double().numpy())
        for a, b in zip(prediction, target, strict=True)
    ]
    noise = [peak_signal_noise_ratio(b, a, data_range=1) for a, b in pairs]
    structure = [
        structural_similarity(
            a, b, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for a, b in pairs
    ]
    return noise, structure


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_random_pairs_score_as_scikit_image(height: int, width: int) -> None:
    prediction, target = pair(height, width)
    noise, structure = reference(prediction, target)
    assert psnr(prediction, target).tolist() == pytest.approx(noise, abs=1e-4)
    assert ssim(prediction, target).tolist() == pytest.approx(structure, abs=1e-5)


@pytest.mark.parametrize("kind", ["noise", "blur", "dark", "near"])
def test_photographs_score_as_scikit_image(kind: str) -> None:
    target = photographs(151, 201)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    prediction = {
        "noise": (target + 25 / 255 * noise).clamp(0, 1),
        "blur": torch.nn.functional.avg_pool2d(target, 5, stride=1, padding=2),
        "dark": target**3,
        "near": (target + 1e-3 * noise).clamp(0, 1),
    }[kind]
    noise_ratio, structure = reference(prediction, target)
    assert psnr(prediction, target).tolist() == pytest.approx(noise_ratio, abs=1e-3)
    assert ssim(prediction, target).tolist() == pytest.approx(structure, abs=1e-4)


def test_flat_bright_pictures_are_exact() -> None:
    # The variance of a bright, flat picture is a difference of two numbers near one.
    own = torch.Generator().manual_seed(2)
    target = 0.98 + 0.002 * torch.rand(1, 3, 40, 40, generator=own)
    prediction = 0.98 + 0.002 * torch.rand(1, 3, 40, 40, generator=own)
    _, structure = reference(prediction, target)
    assert ssim(prediction, target).tolist() == pytest.approx(structure, abs=1e-3)


def test_scores_are_symmetric_and_best_for_equal_pictures() -> None:
    prediction, target = pair(40, 30)
    assert torch.equal(psnr(prediction, target), psnr(target, prediction))
    assert torch.allclose(ssim(prediction, target), ssim(target, prediction))
    assert psnr(target, target).tolist() == [math.inf, math.inf]
    assert ssim(target, target).tolist() == pytest.approx([1, 1])


def test_half_precision_and_autocast_do_not_change_the_scores() -> None:
    prediction, target = pair(48, 48)
    prediction = prediction.bfloat16()
    noise, structure = reference(prediction.float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert psnr(prediction, target).tolist() == pytest.approx(noise, abs=1e-4)
        assert ssim(prediction, target).tolist() == pytest.approx(structure, abs=1e-4)


def test_predictions_out_of_range_are_clamped() -> None:
    prediction, target = pair(32, 32)
    beyond = torch.where(prediction > 0.9, prediction + 1, prediction)
    assert torch.equal(psnr(beyond, target), psnr(torch.where(prediction > 0.9, 1.0, prediction), target))


def test_eight_bit_rounding_is_that_of_a_saved_picture() -> None:
    prediction, target = pair(32, 32, strength=0.004)
    saved = [(x * 255).round().byte().float() / 255 for x in (prediction, target)]
    assert torch.equal(psnr(prediction, target, eight_bit=True), psnr(*saved))
    assert torch.equal(ssim(prediction, target, eight_bit=True), ssim(*saved))
    assert not torch.equal(psnr(prediction, target), psnr(*saved))


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one shape"):
        psnr(torch.rand(2, 3, 32, 32), torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim(torch.rand(1, 3, 10, 32), torch.rand(1, 3, 10, 32))


def test_a_task_has_the_mean_of_psnr_not_the_psnr_of_the_pooled_error() -> None:
    prediction, target = pair(32, 32, strength=0.02)
    metrics = TaskMetrics()
    metrics.update(prediction, target, target, ("noise", "noise"))
    noise, structure = reference(prediction, target)
    result = metrics.compute()["noise"]
    pooled = -10 * math.log10((prediction - target).square().mean().item())
    assert result.input["psnr"] == pytest.approx(sum(noise) / 2, abs=1e-4)
    assert result.input["ssim"] == pytest.approx(sum(structure) / 2, abs=1e-4)
    assert abs(result.input["psnr"] - pooled) > 1


def test_equal_pictures_keep_a_mean_finite() -> None:
    _, target = pair(32, 32)
    metrics = TaskMetrics()
    metrics.update(target, target, target, ("rain", "rain"))
    result = metrics.compute()["rain"]
    assert result.restored["psnr"] == MAX_PSNR
    assert result.psnr_gain == 0


def test_mixed_batches_are_kept_apart_by_task() -> None:
    metrics = TaskMetrics()
    expected: dict[str, list[tuple[float, float]]] = {}
    for seed, tasks in enumerate([("snow", "rain+noise"), ("rain", "snow"), ("snow", "snow")]):
        lq, target = pair(32, 40, seed=seed)
        restored = (lq + target) / 2
        metrics.update(lq, restored, target, tasks)
        rows = zip(psnr(lq, target).tolist(), psnr(restored, target).tolist(), strict=True)
        for task, row in zip(tasks, rows, strict=True):
            expected.setdefault(task, []).append(row)

    results = metrics.compute()
    assert list(results) == ["rain", "rain+noise", "snow"]
    assert {task: result.num_images for task, result in results.items()} == {
        "rain": 1,
        "rain+noise": 1,
        "snow": 4,
    }
    for task, result in results.items():
        for image, (before, after) in zip(result.per_image, expected[task], strict=True):
            assert (image.input["psnr"], image.restored["psnr"]) == pytest.approx((before, after))
        assert result.psnr_gain == pytest.approx(20 * math.log10(2), abs=0.01)


def test_sizes_may_differ_between_batches() -> None:
    metrics = TaskMetrics()
    for height, width in SIZES:
        lq, target = pair(height, width)
        metrics.update(lq, lq, target, ("haze", "haze"))
    assert metrics.compute()["haze"].num_images == 2 * len(SIZES)


def test_reset_forgets() -> None:
    lq, target = pair(32, 32)
    metrics = TaskMetrics()
    metrics.update(lq, lq, target, ("rain", "snow"))
    metrics.reset()
    metrics.update(lq[:1], target[:1], target[:1], ("haze",))
    results = metrics.compute()
    assert list(results) == ["haze"]
    assert results["haze"].num_images == 1


def test_the_perceptual_distance_is_taken_of_each_picture() -> None:
    lq, target = pair(32, 32)
    metrics = TaskMetrics(lambda a, b: (a - b).abs().mean())
    metrics.update(lq, target, target, ("rain", "snow"))
    results = metrics.compute()
    expected = (lq - target).abs().mean((1, 2, 3)).tolist()
    assert [results[task].input["lpips"] for task in ("rain", "snow")] == pytest.approx(expected)
    assert results["rain"].restored["lpips"] == 0
    assert "lpips" not in TaskMetrics().names


def test_lpips_of_the_tokenizer_fits() -> None:
    shared = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
    weights = shared / "lpips" / "alexnet_features_fp16.safetensors"
    if not weights.is_file():
        pytest.skip(f"no LPIPS backbone at {weights}")
    perceptual = PerceptualLoss(PerceptualConfig(network="alex", weights=str(weights)))
    target = photographs(64, 64)[:2]
    blurred = torch.nn.functional.avg_pool2d(target, 7, stride=1, padding=3)
    lq = torch.stack([target[0], blurred[1]])
    metrics = TaskMetrics(perceptual)
    metrics.update(lq, target, target, ("clean", "blur"))
    results = metrics.compute()
    assert results["clean"].input["lpips"] == pytest.approx(0, abs=1e-6)
    assert results["blur"].input["lpips"] > 0.1


def test_tasks_are_checked() -> None:
    lq, target = pair(32, 32)
    with pytest.raises(ValueError, match="one of each a sample"):
        TaskMetrics().update(lq, lq, target, ("rain",))
    with pytest.raises(ValueError, match="128 bytes"):
        TaskMetrics().update(lq, lq, target, ("rain", "+".join(["snow"] * 30)))


@pytest.mark.parametrize("second", [("haze+noise",), ()], ids=["other-task", "no-picture"])
def test_ranks_with_different_tasks_and_counts_are_gathered(second: tuple[str, ...]) -> None:
    lq, target = pair(32, 32)
    ranks = [TaskMetrics(), TaskMetrics()]
    ranks[0].update(lq, target, target, ("snow", "rain"))
    ranks[0].update(lq[:1], target[:1], target[:1], ("snow",))
    ranks[1].update(lq[: len(second)], lq[: len(second)], target[: len(second)], second)
    sent: dict[int, Tensor] = {}

    def compute(rank: int) -> dict[str, TaskResult]:
        def gather(state: Tensor, group: object) -> list[Tensor]:
            sent[rank] = state  # an all-gather needs one dtype and one number of dimensions
            assert {(own.dtype, own.ndim) for own in sent.values()} == {(torch.float32, 1)}
            return [sent.get(other, state) for other in range(2)]

        metrics = ranks[rank]
        with metrics.sync_context(dist_sync_fn=gather, distributed_available=lambda: True):
            return TaskMetrics.compute(metrics)

    compute(0), compute(1)  # each rank sends its state; now both have arrived
    easy, hard = psnr(lq, target).tolist()
    expected = dict.fromkeys(second, (1, easy)) | {"rain": (1, hard), "snow": (2, easy)}
    for rank in range(2):
        results = compute(rank)
        assert list(results) == list(expected)
        for task, (count, value) in expected.items():
            assert results[task].num_images == count
            assert results[task].input["psnr"] == pytest.approx(value)
    assert list(ranks[1].compute()) == list(second)  # and each has its own again
