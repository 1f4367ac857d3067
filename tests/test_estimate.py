"""What a training costs: counted on tensors without data, checked on ones with."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch.utils.flop_counter import FlopCounterMode

from defusion.diffusion.latent import Autoencoder, AutoencoderConfig
from defusion.diffusion.model import DefusionConfig
from defusion.estimate import UTILISATION, Cost, _Kept, estimate, measured_speed
from defusion.training import planned_steps
from defusion.unet.pretrained import PretrainedUNet, PretrainedUNetConfig
from defusion.unet.unet import UNet, UNetConfig
from tests.unet.layouts import DEEPFLOYD, SD15, VAE

CPU = torch.device("cpu")
CONFIG = DefusionConfig(UNetConfig(channels=(16, 32), blocks=1, token_channels=16, adapter_levels=(1,)))


def test_operations_are_those_of_the_layers() -> None:
    """Of a network of two convolutions we can count them ourselves: a little less than all it does."""
    cost = estimate(CONFIG, 64, 2, 100, CPU)
    network = UNet(CONFIG.unet)  # type: ignore[arg-type]
    assert cost.parameters == cost.trained == sum(own.numel() for own in network.parameters())
    convolutions = 0.0

    def count(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal convolutions
        assert isinstance(layer, torch.nn.Conv2d)
        convolutions += 2 * layer.weight.numel() * output.shape[-1] * output.shape[-2]

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    x = torch.zeros(1, 3, 64, 64)
    network(x, torch.ones(1), x, torch.zeros(1, 64, 16))
    assert convolutions <= cost.operations / 6 < 1.2 * convolutions


def test_costs_grow_with_batch_crop_and_size() -> None:
    first = estimate(CONFIG, 64, 2, 100, CPU)
    for other, factor in ((estimate(CONFIG, 64, 4, 100, CPU), 2), (estimate(CONFIG, 128, 2, 100, CPU), 4)):
        assert other.operations == pytest.approx(factor * first.operations, rel=0.05)
        assert other.memory > first.memory
    wider = replace(CONFIG, unet=replace(CONFIG.unet, channels=(32, 64)))  # type: ignore[arg-type]
    assert estimate(wider, 64, 2, 100, CPU).operations > 2 * first.operations
    assert estimate(CONFIG, 64, 2, 100, CPU, processes=8).samples == 16
    accumulating = estimate(CONFIG, 64, 2, 100, CPU, accumulated=4)
    assert accumulating.samples == 8
    assert accumulating.operations == 4 * first.operations
    assert accumulating.memory == first.memory
    shared = estimate(CONFIG, 64, 2, 100, CPU, processes=8, sharded=True)
    assert first.memory - shared.memory == pytest.approx(7 / 8 * 20 * first.parameters), "five floats of each"
    assert shared.operations == first.operations


def test_what_is_frozen_costs_less() -> None:
    """A U-Net in the layout of Stable Diffusion with adapters that learn, its autoencoder, and all of it learning."""
    unet = PretrainedUNetConfig(architecture=SD15, token_channels=16)
    adapters, whole, pixels = (
        estimate(DefusionConfig(own, autoencoder=latent), 64, 2, 100, CPU)
        for own, latent in (
            (unet, AutoencoderConfig(architecture=VAE)),
            (replace(unet, trained="all"), AutoencoderConfig(architecture=VAE)),
            (replace(unet, architecture=DEEPFLOYD, patch=1), None),
        )
    )
    assert adapters.parameters == whole.parameters == whole.trained > 2 * adapters.trained
    assert adapters.operations < whole.operations
    network = PretrainedUNet.build(unet)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network(torch.zeros(1, 4, 8, 8), torch.ones(1), torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 16))
    with FlopCounterMode(display=False) as encoding:
        Autoencoder.build(AutoencoderConfig(architecture=VAE)).encode(torch.zeros(1, 3, 64, 64))
    alone, encoded = forward.get_total_flops(), 2 * encoding.get_total_flops()
    assert 2.5 * alone < whole.operations / 2 - encoded < 3.5 * alone, "attention computes its scores again"
    assert 1.8 * alone < adapters.operations / 2 - encoded < 2.5 * alone
    frozen = sum(own.numel() for own in Autoencoder.build(AutoencoderConfig(architecture=VAE)).parameters())
    assert adapters.memory > 4 * (2 * adapters.parameters + 3 * adapters.trained + frozen)
    assert pixels.operations > 0


def test_steps_are_those_of_the_nearest_end() -> None:
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    cases: list[tuple[dict[str, Any], float]] = [
        ({"max_steps": 50, "max_epochs": -1}, 50),
        ({"max_epochs": 3}, 30),
        ({"max_steps": 20, "max_epochs": 3}, 20),
        ({"max_epochs": 3, "accumulate_grad_batches": 4}, 9),
        ({"max_epochs": -1}, math.inf),
    ]
    for options, steps in cases:
        assert planned_steps(Trainer(**quiet, **options), 10) == steps


def test_parameters_are_no_activations() -> None:
    """One of a linear layer is a view of its weight."""
    kept, layer = _Kept(), torch.nn.Linear(40, 30)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        layer(torch.ones(2, 40, requires_grad=True))
    assert kept.size == 4 * 2 * 40


def test_days_are_operations_by_speed() -> None:
    cost = Cost(1, 1, operations=4e12, memory=1e9, speed=1e12, steps=86_400, samples=1)
    assert cost.days == pytest.approx(4 / UTILISATION)
    assert math.isinf(replace(cost, steps=math.inf).days)
    rows = [replace(cost, steps=steps).table() for steps in (math.inf, 86_400, 4_000, 10)]
    assert [list(table.columns[1].cells)[-1] for table in rows] == [
        "without end",
        "10.0 days",
        "11.1 hours",
        "2 minutes",
    ]
    assert list(cost.table().columns[1].cells)[3:6] == ["4.0 TFLOP", "1.0 GB", "1.0 TFLOP/s"]
    small = replace(cost, operations=2.5e9, memory=12e6).table()
    assert list(small.columns[1].cells)[3:5] == ["2.5 GFLOP", "12.0 MB"]


def test_the_machine_is_timed() -> None:
    assert measured_speed(CPU) > 1e9
