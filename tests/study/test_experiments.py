"""Every experiment of the study runs, and compares what is equal but for what it tests."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.study.claims import PEERS, REFERENCE
from defusion.study.claims import VARIANTS as KNOWN
from defusion.study.plan import Study, Variant
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.training import train
from defusion.unet.unet import UNetConfig
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
    """Base and variant, merged as the command line merges them."""
    model: dict[str, Any] = {"unet": {}}
    for file in (EXPERIMENTS / "ablation/base.yaml", variant.file):
        own = yaml.safe_load(file.read_text()).get("model", {}).get("init_args", {}).get("model", {})
        model |= own | {"unet": model["unet"] | own.get("unet", {})}
    unet: dict[str, Any] = model.pop("unet")
    unet |= {key: tuple(value) for key, value in unet.items() if isinstance(value, list)}
    return DefusionConfig(UNetConfig(**unet), **model)


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


def test_each_variant_is_another_network() -> None:
    configs = [(config_of(own), own.ground) for own in VARIANTS.values() if not own.peer]
    assert all(configs.count(own) == 1 for own in configs)


def test_tokenizers_see_the_samples_of_the_diffusion() -> None:
    diffusion, tokenizer = (
        settings(f"ablation/{name}.yaml")["data"]["init_args"]["synthesis"] for name in ("base", "tokenizer")
    )
    assert diffusion == tokenizer
