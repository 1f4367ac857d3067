import math

import pytest
import torch
from torch import Tensor

from defusion.evaluation.metrics import MAX_PSNR, psnr
from defusion.evaluation.protocol import Protocol
from defusion.evaluation.scoring import TaskMetrics, TaskResult
from tests.evaluation.references import degraded, metric, pair, perceptual, photographs

SIZES = [(32, 32), (11, 11), (33, 47)]


def test_a_task_has_the_mean_of_psnr_not_the_psnr_of_the_pooled_error() -> None:
    prediction, target = pair(32, 32, strength=0.02)
    metrics = TaskMetrics()
    metrics.update(prediction, target, target, ("noise", "noise"))
    noise, structure = metric("psnr_rgb", prediction, target), metric("ssim_rgb", prediction, target)
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
    target = photographs(64, 64)[:2]
    lq = torch.stack([target[0], degraded("blur", target)[1]])
    metrics = TaskMetrics(perceptual())
    metrics.update(lq, target, target, ("clean", "blur"))
    results = metrics.compute()
    assert results["clean"].input["lpips"] == pytest.approx(0, abs=1e-6)
    assert results["blur"].input["lpips"] > 0.05


def test_the_scores_are_those_of_the_protocol() -> None:
    target = photographs(40, 48)
    lq, restored = degraded("noise", target), degraded("near", target)
    protocol = Protocol(psnr="y", ssim="3d", border=2, extra=("mae", "psnr_rgb"))
    metrics = TaskMetrics(protocol=protocol)
    assert metrics.names == ("psnr", "ssim", "mae", "psnr_rgb")
    metrics.update(lq, restored, target, ("rain", "snow", "rain"))
    metrics.update(lq[:1], restored[:1], target[:1], ("haze",))
    before, after = protocol.scores(lq, target), protocol.scores(restored, target)
    results = metrics.compute()
    for task, rows in {"rain": [0, 2], "snow": [1], "haze": [0]}.items():
        for own, expected in ((results[task].input, before), (results[task].restored, after)):
            assert list(own) == list(metrics.names)
            assert own == pytest.approx({name: value[rows].mean().item() for name, value in expected.items()})
    assert results["snow"].psnr_gain == pytest.approx((after["psnr"] - before["psnr"])[1].item(), abs=1e-4)


def test_training_scores_floats() -> None:
    lq, target = pair(32, 32, strength=0.004)
    metrics = TaskMetrics()
    metrics.update(lq, lq, target, ("rain", "rain"))
    assert metrics.compute()["rain"].input["psnr"] == pytest.approx(psnr(lq, target).mean().item())
    rounded = TaskMetrics(protocol=Protocol())
    rounded.update(lq, lq, target, ("rain", "rain"))
    assert abs(rounded.compute()["rain"].input["psnr"] - psnr(lq, target).mean().item()) > 0.01


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
