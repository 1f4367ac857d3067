"""Measuring: every way by its name, over the same photographs, written whole."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from defusion.diffusion.model import Defusion
from defusion.peers.network import NAFNetConfig, Peer
from defusion.study.measuring import Way, is_measured, measure
from defusion.study.plan import Run
from defusion.study.scores import Measurement, Scores
from tests.evaluation.test_testset import Pictures
from tests.study.made_up_runs import finish, study

PHOTOGRAPHS = Pictures(size=(37, 41), paired=False)
ONE = Pictures(size=(16, 20), paired=False)
ONE.names = ["a"]


def run_of(name: str, folder: Path, model: Defusion | Peer) -> Run:
    """A run whose network is `model`."""
    own = study(folder)
    run = next(run for run in own.runs([*own.variants(), *own.peers()]) if run.variant.name == name)
    finish(run.training)
    model.save(run.training.weights)
    return run


def mean(measurement: Measurement | None, side: str = "restored") -> float:
    assert measurement is not None
    return fmean(getattr(image, side)["psnr"] for image in measurement.images)


def test_the_reference_is_measured_in_every_way(model: Defusion, tmp_path: Path) -> None:
    run = run_of("full", tmp_path, model)
    watched: list[Way] = []

    def watch(ways: Sequence[Way]) -> Sequence[Way]:
        watched.extend(ways)
        return ways

    scores = measure(run, ONE, None, watch)
    assert Scores.read(run.scores) == scores
    names = [own.name for own in scores.measurements]
    assert names == [way.name for way in watched]
    assert names == [
        *("main", "steps-1", "steps-2", "steps-4", "steps-10", "steps-50", "sde-4", "sde-10", "sde-50"),
        *("parameter-matched", "severity-0.2", "severity-0.8", "severity-1.0", "composites-2", "composites-3"),
    ]
    tasks = {own.name: [image.task for image in own.images] for own in scores.measurements}
    assert tasks["main"] == ["rain", "snow", "haze"]
    assert tasks["composites-2"] == ["rain+haze", "snow+haze", "rain+snow"]
    assert tasks["composites-3"] == ["rain+snow+haze"]
    assert (scores.train_steps, scores.train_seconds) == (100, pytest.approx(53))
    assert len(scores.curve) == 4
    assert scores.parameters == sum(part.numel() for part in model.unet.parameters())
    steps_1, by_ddim, by_sde = (scores.measurement(name) for name in ("steps-1", "steps-4", "sde-4"))
    assert steps_1 == replace(scores.main, name="steps-1")
    assert mean(by_ddim) != mean(by_sde)
    assert mean(scores.measurement("parameter-matched")) != mean(scores.main)
    mild, strong, strongest = (mean(scores.measurement(f"severity-{own}"), "input") for own in (0.2, 0.8, 1.0))
    assert mild > mean(scores.main, "input") > strong > strongest


def test_a_variant_is_measured_in_the_main_way(model: Defusion, tmp_path: Path) -> None:
    scores = measure(run_of("label", tmp_path, model), PHOTOGRAPHS, None)
    assert [own.name for own in scores.measurements] == ["main"]
    assert (scores.main.instruction, scores.main.sampler, scores.main.steps) == ("type-matched", "ddim", 1)
    tasks = [(image.name, image.task) for image in scores.main.images]
    assert tasks == [(name, task) for name in "ab" for task in ("rain", "snow", "haze")]


def test_a_peer_is_measured_on_the_same_pictures(model: Defusion, tmp_path: Path) -> None:
    peer = Peer(NAFNetConfig(width=8, encoder=(1,), middle=1, decoder=(1,)))
    scores = measure(run_of("nafnet", tmp_path, peer), PHOTOGRAPHS, lambda x, y: (x - y).abs().mean())
    ours = measure(run_of("label", tmp_path, model), PHOTOGRAPHS, None)
    assert (scores.main.instruction, scores.main.sampler) == ("none", "none")
    assert scores.parameters == sum(part.numel() for part in peer.parameters())
    for own, other in zip(scores.main.images, ours.main.images, strict=True):
        assert set(own.restored) == {"psnr", "ssim", "lpips"}
        assert {name: own.input[name] for name in ("psnr", "ssim")} == other.input


def test_scores_hold_for_their_photographs_and_metrics(model: Defusion, tmp_path: Path) -> None:
    run = run_of("label", tmp_path, model)
    assert not is_measured(run, PHOTOGRAPHS, lpips=False)
    measure(run, PHOTOGRAPHS, None)
    assert is_measured(run, PHOTOGRAPHS, lpips=False)
    assert not is_measured(run, PHOTOGRAPHS, lpips=True)
    others = Pictures(paired=False)
    others.identity = "others"
    assert not is_measured(run, others, lpips=False)
    measure(run, PHOTOGRAPHS, lambda x, y: (x - y).abs().mean())
    assert is_measured(run, PHOTOGRAPHS, lpips=False)
