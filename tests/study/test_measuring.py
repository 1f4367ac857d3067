"""Measuring: every way by its name, over the same photographs, written whole."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defusion.diffusion.model import Defusion
from defusion.evaluation.report import write_json
from defusion.instruction import VisualInstruction
from defusion.peers.network import NAFNetConfig, Peer
from defusion.restore.restoration import Restoration
from defusion.restore.restorer import Restorer
from defusion.study import measuring, ways
from defusion.study.claims import COMPOSITES, SEVERITIES
from defusion.study.measuring import is_measured, measure
from defusion.study.plan import Run
from defusion.study.scores import Measurement, Scores
from defusion.study.ways import GENERAL, MAIN, WAYS, Way, ways_of
from tests.evaluation.test_testset import Pictures
from tests.study.made_up_runs import finish, log, study
from tests.test_experiments import settings

PHOTOGRAPHS = Pictures(size=(37, 41), paired=False)
ONE = Pictures(size=(16, 20), paired=False)
ONE.names = ["a"]


class Weights(nn.Module):
    """In the place of LPIPS."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.tensor(value), requires_grad=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.own * (x - y).abs().mean()


def planned(name: str, folder: Path, seed: int = 0) -> Run:
    own = study(folder)
    runs = own.runs([*own.variants(), *own.peers()])
    return next(run for run in runs if (run.variant.name, run.seed) == (name, seed))


def run_of(name: str, folder: Path, model: Defusion | Peer, seed: int = 0) -> Run:
    """A run whose network is `model`."""
    run = planned(name, folder, seed)
    finish(run.training)
    model.save(run.training.weights)
    return run


def mean(measurement: Measurement | None, side: str = "restored") -> float:
    assert measurement is not None
    return fmean(getattr(image, side)["psnr"] for image in measurement.images)


def test_the_reference_is_measured_in_every_way(
    model: Defusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert [way.name for way in WAYS if way.steps >= 10] == ["steps-10", "steps-50", "sde-10", "sde-50"]
    monkeypatch.setattr(ways, "WAYS", tuple(way for way in WAYS if way.steps < 10))  # in less time
    run = run_of("full", tmp_path, model)
    watched: list[Way] = []

    def watch(given: Sequence[Way]) -> Sequence[Way]:
        watched.extend(given)
        return given

    scores = measure(run, ONE, None, watch)
    assert Scores.read(run.scores) == scores
    names = [own.name for own in scores.measurements]
    assert names == [way.name for way in watched]
    assert names == [
        *("main", "steps-1", "steps-2", "steps-4", "sde-2", "sde-4"),
        *("severity-0.2", "severity-0.8"),
        *(f"parameter-matched-{severity}" for severity in (0.2, 0.5, 0.8, 0.1, 1.0)),
        *("composites-2", "severity-0.1", "severity-1.0", "composites-3"),
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
    for severity in (0.1, 0.2, 0.5, 0.8, 1.0):
        name = "main" if severity == 0.5 else f"severity-{severity}"
        matched, typed = scores.measurement(f"parameter-matched-{severity}"), scores.measurement(name)
        assert matched is not None
        assert typed is not None
        assert matched.severity == typed.severity == severity
        assert mean(matched, "input") == mean(typed, "input"), "of the same pictures"
        assert mean(matched) != mean(typed)
    by_severity = [
        mean(scores.measurement(name), "input")
        for name in ("severity-0.1", "severity-0.2", "main", "severity-0.8", "severity-1.0")
    ]
    assert by_severity == sorted(by_severity, reverse=True)


def test_severities_and_composites_of_the_training_are_those_of_its_file() -> None:
    synthesis = settings("ablation/base.yaml")["data"]["init_args"]["synthesis"]
    assert synthesis["severities"] == list(SEVERITIES)
    assert len(synthesis["composites"]) == COMPOSITES


@pytest.mark.parametrize("name", ["no_gate", "label", "text", "no_instruction"])
def test_generalisation_is_measured_of_the_networks_that_are_compared(name: str, tmp_path: Path) -> None:
    assert ways_of(planned(name, tmp_path)) == (MAIN, *GENERAL)
    assert set(GENERAL) < set(WAYS)


def test_each_picture_and_each_seed_start_from_noise_of_their_own(
    model: Defusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[int] = []
    restored = Restorer.__call__

    def watched(self: Restorer, lq: Tensor, shown: VisualInstruction, **options: Any) -> Restoration:
        given.append(options["seed"])
        return restored(self, lq, shown, **options)

    monkeypatch.setattr(Restorer, "__call__", watched)
    for seed in (0, 1):
        measure(run_of("striped", tmp_path, model, seed), PHOTOGRAPHS, None)
    assert len(given) == 12
    assert len(set(given)) == 4, "two photographs under three tasks each, two seeds"


def test_a_variant_is_measured_in_the_main_way(model: Defusion, tmp_path: Path) -> None:
    scores = measure(run_of("striped", tmp_path, model), PHOTOGRAPHS, None)
    assert [own.name for own in scores.measurements] == ["main"]
    assert (scores.main.instruction, scores.main.sampler, scores.main.steps) == ("type-matched", "ddim", 1)
    tasks = [(image.name, image.task) for image in scores.main.images]
    assert tasks == [(name, task) for name in "ab" for task in ("rain", "snow", "haze")]


def test_a_peer_is_measured_on_the_same_pictures(model: Defusion, tmp_path: Path) -> None:
    peer = Peer(NAFNetConfig(width=8, encoder=(1,), middle=1, decoder=(1,)))
    scores = measure(run_of("nafnet", tmp_path, peer), PHOTOGRAPHS, lambda x, y: (x - y).abs().mean())
    ours = measure(run_of("striped", tmp_path, model), PHOTOGRAPHS, None)
    assert (scores.main.instruction, scores.main.sampler) == ("none", "none")
    assert scores.parameters == sum(part.numel() for part in peer.parameters())
    for own, other in zip(scores.main.images, ours.main.images, strict=True):
        assert set(own.restored) == {"psnr", "ssim", "lpips"}
        assert {name: own.input[name] for name in ("psnr", "ssim")} == other.input


def test_scores_hold_for_their_photographs_metrics_weights_and_ways(
    model: Defusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lpips(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs().mean()

    run = run_of("striped", tmp_path, model)
    assert not is_measured(run, ONE, None)
    measure(run, ONE, None)
    assert is_measured(run, ONE, None)
    assert not is_measured(run, ONE, lpips)
    others = Pictures(paired=False)
    others.identity = "others"
    assert not is_measured(run, others, None)
    measure(run, ONE, lpips)
    assert is_measured(run, ONE, None)
    assert is_measured(run, ONE, lpips)
    assert not is_measured(run, ONE, Weights(1.0))
    with monkeypatch.context() as changed:
        changed.setattr(measuring, "SIZE", 128)
        assert not is_measured(run, ONE, None)
    with monkeypatch.context() as changed:
        changed.setattr(ways, "MAIN", replace(MAIN, steps=2))
        assert not is_measured(run, ONE, None)
    write_json(run.training.weights / "config.json", {"sha256": "of other weights"})
    assert not is_measured(run, ONE, None)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the ways that are measured, in their order."""
    found: list[str] = []
    whole = measuring._Pictures.measured

    def measured(self: Any, way: Way, restore: measuring.Restore) -> Measurement:
        found.append(way.name)
        return whole(self, way, restore)

    monkeypatch.setattr(measuring._Pictures, "measured", measured)
    return found


def test_ways_that_are_measured_are_not_measured_again(
    model: Defusion, taken: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = run_of("label", tmp_path, model)
    monkeypatch.setattr(ways, "GENERAL", GENERAL[:1])
    first = measure(run, ONE, None)
    monkeypatch.setattr(ways, "GENERAL", (replace(GENERAL[0], steps=2), *GENERAL[1:]))
    assert not is_measured(run, ONE, None)
    second = measure(run, ONE, None)
    assert taken == ["main", "severity-0.1", "severity-0.1", "severity-1.0", "composites-3"]
    assert second.main == first.main
    assert [own.name for own in second.measurements] == ["main", *(way.name for way in GENERAL)]
    measure(run, ONE, Weights(1.0))
    assert taken[5:] == ["main", "severity-0.1", "severity-1.0", "composites-3"]


def test_what_was_measured_before_a_kill_is_kept(model: Defusion, taken: list[str], tmp_path: Path) -> None:
    run = run_of("label", tmp_path, model)

    def killed(given: Sequence[Way]) -> Iterator[Way]:
        for way in given:
            if way.name == "severity-1.0":
                raise KeyboardInterrupt
            yield way

    with pytest.raises(KeyboardInterrupt):
        measure(run, ONE, None, killed)
    assert taken == ["main", "severity-0.1"]
    assert not is_measured(run, ONE, None)
    scores = measure(run, ONE, None)
    assert is_measured(run, ONE, None)
    assert taken == ["main", "severity-0.1", "severity-1.0", "composites-3"]
    assert [own.name for own in scores.measurements] == ["main", *(way.name for way in GENERAL)]


def test_other_weights_of_lpips_are_another_measurement(model: Defusion, tmp_path: Path) -> None:
    run = run_of("striped", tmp_path, model)
    measure(run, ONE, Weights(1.0))
    assert is_measured(run, ONE, Weights(1.0))
    assert not is_measured(run, ONE, Weights(2.0))


def test_lpips_is_not_taken_where_the_gain_alone_is_compared(model: Defusion, tmp_path: Path) -> None:
    scores = measure(run_of("label", tmp_path, model), ONE, Weights(1.0))
    taken = {own.name: "lpips" in own.metrics for own in scores.measurements}
    assert taken == {"main": True, "severity-0.1": False, "severity-1.0": False, "composites-3": False}


def test_damaged_scores_are_none(model: Defusion, tmp_path: Path) -> None:
    run = run_of("striped", tmp_path, model)
    run.scores.write_text("{}")
    assert not is_measured(run, ONE, None)


def test_what_a_training_recorded_comes_with_its_scores(model: Defusion, tmp_path: Path) -> None:
    run = run_of("striped", tmp_path, model)
    unknown = measure(run, ONE, None)
    assert unknown.provenance.crop is None
    assert unknown.tokenizer_seconds is None
    assert unknown.provenance.device
    averaging = {"class_path": "defusion.averaging.ExponentialMovingAverage", "init_args": {"decay": 0.99}}
    config = {
        "trainer": {"callbacks": [{"class_path": "Another"}, averaging]},
        "model": {"init_args": {"optimizer": "muon", "learning_rate": 0.001}},
        "data": {"init_args": {"data": "/deep/in/a/machine/photos", "crop_size": 64, "batch_size": 16}},
    }
    write_json(run.training.folder / "config.yaml", config)  # JSON is YAML
    assert run.training.tokenizer is not None
    log(run.training.tokenizer.folder, run.training.tokenizer.steps, 0.5)
    scores = measure(run, ONE, None)
    assert scores.tokenizer_seconds == pytest.approx(3 + 0.5 * run.training.tokenizer.steps)
    assert scores.provenance == replace(
        unknown.provenance, data="`photos`", crop=64, batch=16, optimiser="muon", learning_rate=0.001, averaging=0.99
    )
    assert "machine" not in run.scores.read_text()
