"""Every experiment of the study runs, and compares what is equal but for what it tests."""

import sys
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import yaml

from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.diffusion.process import Process
from defusion.study.claims import PEERS, REFERENCE
from defusion.study.claims import VARIANTS as KNOWN
from defusion.study.plan import Study, Variant
from defusion.study.report import write_report
from defusion.study.running import Runner
from defusion.study.timing import Record
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.training import train
from defusion.unet.unet import UNetConfig
from tests.evaluation.test_testset import Pictures
from tests.test_experiments import EXPERIMENTS, settings, small

STUDY = Study(None, 8, 1, EXPERIMENTS)
VARIANTS = {own.name: own for own in (*STUDY.variants(), *STUDY.peers())}
FAST = ("image_space", "blank", "nafnet")
PARAMETERS = 0.02
"""By how much the networks of the method and its variants may differ in size."""


def tokenizer_of(variant: Variant) -> TokenizerConfig:
    base = settings("ablation/tokenizer.yaml")["model"]["init_args"]["config"]
    return TokenizerConfig(**base, ground_kind=variant.ground)


def config_of(variant: Variant) -> DefusionConfig:
    """Base and variant, merged as the command line merges them, which is tested below."""
    model: dict[str, Any] = {"unet": {}}
    for file in (EXPERIMENTS / "ablation/base.yaml", variant.file):
        own = yaml.safe_load(file.read_text()).get("model", {}).get("init_args", {}).get("model", {})
        model |= own | {"unet": model["unet"] | own.get("unet", {})}
    unet: dict[str, Any] = model.pop("unet")
    unet |= {key: tuple(value) for key, value in unet.items() if isinstance(value, list)}
    return DefusionConfig(UNetConfig(**unet), **model)


def config_of_the_command_line(variant: Variant) -> DefusionConfig:
    """What `defusion train` makes of the training of a variant."""
    shown = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), suppress(SystemExit):
        patch.setattr(sys, "argv", sys.argv)
        train([*STUDY.runs([variant])[0].training.arguments, "--print_config"])
    model: dict[str, Any] = yaml.safe_load(shown.getvalue())["model"]["init_args"]["model"]
    unet, process = model.pop("unet"), model.pop("process")
    unet |= {key: tuple(value) for key, value in unet.items() if isinstance(value, list)}
    return DefusionConfig(UNetConfig(**unet), Process(**process), **model)


def test_the_files_are_those_that_the_report_knows() -> None:
    assert [own.name for own in STUDY.variants()] == list(KNOWN)
    assert [own.name for own in STUDY.peers()] == list(PEERS)
    assert all(own.peer == (own.name in PEERS) for own in VARIANTS.values())


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_a_variant_trains(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Study(None, 8, 1, EXPERIMENTS, tmp_path).runs([VARIANTS[name]])[0]
    if run.training.tokenizer is not None:
        Tokenizer(tokenizer_of(run.variant)).save(run.training.tokenizer.weights)
    monkeypatch.setattr(sys, "argv", sys.argv)
    train([*run.training.arguments, *small(tmp_path)])


@pytest.mark.parametrize("kind", [pytest.param("te42", marks=pytest.mark.slow), "striped"])
def test_a_tokenizer_trains(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    training = Study(None, 8, 1, EXPERIMENTS, tmp_path).tokenizer(kind)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", sys.argv)
    train([*training.arguments, *small(tmp_path)])


def test_networks_of_the_method_and_its_variants_are_of_one_size() -> None:
    sizes = {}
    for name, own in VARIANTS.items():
        if not own.peer:
            model = Defusion(config_of(own), Tokenizer(tokenizer_of(own)))
            sizes[name] = sum(part.numel() for part in model.parameters() if part.requires_grad)
    assert all(abs(size / sizes[REFERENCE] - 1) < PARAMETERS for size in sizes.values()), sizes


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("decoder", "no_instruction") else pytest.param(name, marks=pytest.mark.slow)
        for name, own in VARIANTS.items()
        if not own.peer
    ],
)
def test_the_command_line_merges_the_files_alike(name: str) -> None:
    assert config_of_the_command_line(VARIANTS[name]) == config_of(VARIANTS[name])


@pytest.mark.parametrize("names", [("bridge_alone", "decoder"), (REFERENCE, "decoder_concatenate")])
def test_the_bridges_differ_in_no_more_than_the_bridge_and_the_width(names: tuple[str, str]) -> None:
    adaln, decoder = (config_of(VARIANTS[name]) for name in names)
    assert isinstance(adaln.unet, UNetConfig)
    assert isinstance(decoder.unet, UNetConfig)
    assert (adaln.unet.bridge, decoder.unet.bridge) == ("adaln", "decoder")
    widened = replace(adaln.unet, bridge="decoder", channels=decoder.unet.channels)
    assert decoder == replace(adaln, unet=widened)


@pytest.mark.slow
@pytest.mark.timeout(900)  # three trainings, each in a process of its own
def test_a_small_study_is_trained_measured_and_reported(tmp_path: Path) -> None:
    """The real thing: a tokenizer, the method and a peer, two steps each, and two small photographs."""
    photographs = Pictures(size=(24, 32), paired=False)
    runner = Runner(Study(None, 2, 1, EXPERIMENTS, tmp_path / "runs"), photographs)
    runs = [*runner.ablation(["full"]), *runner.study.runs(runner.study.peers(["plain"]))]
    runner.do(runs)
    scores = runner.scores()
    assert [own.variant for own in scores] == ["full", "plain"]
    for own in scores:
        assert own.train_seconds > 0
        assert len(own.curve) == 2  # a point for each step, for an eighth of the run is none
        assert all(isfinite(image.restored["psnr"]) for image in own.main.images)
    assert Record.read(runner.study.tokenizer("te42").folder).total > 0
    write_report(scores, tmp_path / "RESULTS.md")
    assert "plain" in (tmp_path / "RESULTS.md").read_text()
    replace(runner, program=("false",)).do(runs)  # all is done


def test_each_variant_is_another_network() -> None:
    configs = [(config_of(own), own.ground) for own in VARIANTS.values() if not own.peer]
    assert all(configs.count(own) == 1 for own in configs)


def test_tokenizers_see_the_samples_of_the_diffusion() -> None:
    diffusion, tokenizer = (
        settings(f"ablation/{name}.yaml")["data"]["init_args"]["synthesis"] for name in ("base", "tokenizer")
    )
    assert diffusion == tokenizer
