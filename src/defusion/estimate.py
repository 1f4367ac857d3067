"""What a training will cost, before it starts: parameters, operations, memory, days on the hardware at hand."""

import math
import time
from dataclasses import dataclass, replace

import torch
from rich import box
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from defusion.diffusion.model import DefusionConfig
from defusion.precision import has_bf16
from defusion.unet.pretrained import PretrainedUNet, PretrainedUNetConfig
from defusion.unet.unet import UNet

UTILISATION = 0.4
"""Share of the speed of a large matrix product that a training step is taken to reach."""

_SIDE = 2048
_BACKWARD = 2
"""Operations of the backward pass for one of the forward pass."""
_OPTIMISER = 2
"""Moments that Adam keeps of a parameter."""


@dataclass(frozen=True)
class Cost:
    """Of one training, of each of its processes unless said otherwise.

    Attributes:
        parameters: of the network.
        trained: those that learn.
        operations: floating-point operations of a step, a multiplication and an addition counting as two.
        memory: bytes of parameters, gradients, moments, average and activations on the device.
        speed: operations a second that a large matrix product reaches there.
        steps: of the training; infinite without an end.
        samples: in a step, over all processes.
    """

    parameters: int
    trained: int
    operations: float
    memory: float
    speed: float
    steps: float
    samples: int

    @property
    def days(self) -> float:
        """Of the whole training, synthesis and loading not counted."""
        return self.steps * self.operations / (UTILISATION * self.speed) / 86_400

    def table(self) -> Table:
        """For people."""
        table = Table(title="What this training costs", title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
        table.add_column()
        table.add_column(justify="right")
        days = "without end" if math.isinf(self.days) else _days(self.days)
        steps = "without end" if math.isinf(self.steps) else f"{self.steps:,.0f}"
        for name, value in (
            ("parameters of the network", f"{self.parameters / 1e6:,.1f} M"),
            ("of these learn", f"{self.trained / 1e6:,.1f} M"),
            ("samples a step, all processes", f"{self.samples}"),
            ("operations a step and process", f"{self.operations / 1e12:,.2f} TFLOP"),
            ("memory a process, about", f"{self.memory / 1e9:,.1f} GB"),
            ("speed of a large matrix product here", f"{self.speed / 1e12:,.2f} TFLOP/s"),
            ("steps", steps),
            (f"time, at {UTILISATION:.0%} of that speed", days),
        ):
            table.add_row(name, value)
        return table


def estimate(
    config: DefusionConfig,
    crop: int,
    batch: int,
    steps: float,
    device: torch.device,
    processes: int = 1,
    accumulated: int = 1,
) -> Cost:
    """Counts what a training step does, on tensors without data, and times a matrix product.

    Args:
        config: of the model.
        crop: side of the training crops, in pixels.
        batch: samples that a process sees together.
        steps: of the training.
        device: that trains.
        processes: of the training.
        accumulated: batches a step and process.
    """
    half = has_bf16(device)
    with torch.device("meta"):
        network = _network(config)
        side = crop + -crop % config.stride
        lq = torch.zeros(1, 3, side, side)
        y = lq
        if config.autoencoder is not None:
            patch = config.autoencoder.patch
            y = torch.zeros(1, config.autoencoder.channels, side // patch, side // patch)
        tokens = torch.zeros(1, 64, config.unet.token_channels)
        kept = _Kept()
        with (
            FlopCounterMode(display=False) as counter,
            torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack),
        ):
            network(y, torch.ones(1), lq, tokens)
    parameters = sum(own.numel() for own in network.parameters())
    trained = sum(own.numel() for own in network.parameters() if own.requires_grad)
    activations = kept.size * batch * (0.5 if half else 1.0)
    return Cost(
        parameters,
        trained,
        operations=counter.get_total_flops() * (1 + _BACKWARD) * batch * accumulated,
        memory=4.0 * (2 * parameters + (1 + _OPTIMISER) * trained) + activations,
        speed=measured_speed(device),
        steps=steps,
        samples=batch * processes * accumulated,
    )


def measured_speed(device: torch.device) -> float:
    """Operations a second of a matrix product, in bf16 where the hardware has it."""
    kind = torch.bfloat16 if has_bf16(device) else torch.float32
    a, b = torch.ones(2, _SIDE, _SIDE, device=device, dtype=kind)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        _ = a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * _SIDE**3 / min(times)


class _Kept:
    """The bytes that autograd keeps for the backward pass, parameters and their views not counted."""

    def __init__(self) -> None:
        self.size = 0
        self._seen: set[int] = set()
        self._alive: list[Tensor] = []  # so that no identity is given twice

    def pack(self, x: Tensor) -> Tensor:
        is_parameter = isinstance(x, nn.Parameter) or isinstance(x._base, nn.Parameter)
        if not is_parameter and id(x) not in self._seen:
            self._seen.add(id(x))
            self._alive.append(x)
            self.size += x.numel() * x.element_size()
        return x

    def unpack(self, x: Tensor) -> Tensor:
        return x


def _network(config: DefusionConfig) -> nn.Module:
    if isinstance(config.unet, PretrainedUNetConfig):
        return PretrainedUNet.build(replace(config.unet, source=""))
    return UNet(config.unet)


def _days(days: float) -> str:
    for unit, length in (("days", 1.0), ("hours", 1 / 24)):
        if days >= length:
            return f"{days / length:,.1f} {unit}"
    return f"{days * 1440:,.0f} minutes"
