"""What a training will cost, before it starts: parameters, operations, memory, days on the hardware at hand."""

import math
import time
from dataclasses import dataclass, replace

import torch
from rich import box
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from defusion.diffusion.latent import Autoencoder
from defusion.diffusion.model import DefusionConfig
from defusion.precision import has_bf16
from defusion.unet.pretrained import PretrainedUNet, PretrainedUNetConfig
from defusion.unet.unet import UNet

UTILISATION = 0.4
"""Share of the speed of a large matrix product that a training step is taken to reach."""

_SIDE = 2048
_FLOAT = 4
"""Bytes."""
_OPTIMISER = 2
"""Moments that Adam keeps of a parameter."""


@dataclass(frozen=True)
class Cost:
    """Of one training, of each of its processes unless said otherwise.

    Attributes:
        parameters: of the network.
        trained: those that learn.
        operations: floating-point operations of a step, forward and back, a multiplication and an addition counting
            as two.
        memory: bytes of parameters, gradients, moments, average and activations on the device; of weights that are
            shared out, while they are whole in validation, if that is more.
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
            ("operations a step and process", _scaled(self.operations, "FLOP")),
            ("memory a process, about", _scaled(self.memory, "B")),
            ("speed of a large matrix product here", _scaled(self.speed, "FLOP/s")),
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
    sharded: bool = False,
) -> Cost:
    """Counts what a training step does, on tensors without data, and times a matrix product.

    What is frozen costs its forward pass, and as much back as gradients need that pass through it.

    Args:
        config: of the model.
        crop: side of the training crops, in pixels.
        batch: samples that a process sees together.
        steps: of the training.
        device: that trains.
        processes: of the training.
        accumulated: batches a step and process.
        sharded: whether the processes share the network out.
    """
    half = has_bf16(device)
    with torch.device("meta"):
        network = _network(config)
        side = crop + -crop % config.stride
        lq = torch.zeros(1, 3, side, side)
        tokens = torch.zeros(1, 64, config.unet.token_channels)
        autoencoder = None if config.autoencoder is None else Autoencoder.build(replace(config.autoencoder, source=""))
        kept = _Kept()
        with FlopCounterMode(display=False) as counter:
            y = lq if autoencoder is None else autoencoder.encode(lq) - autoencoder.encode(lq)
            with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
                output = network(y, torch.ones(1), lq, tokens)
            output.sum().backward()
    parameters, trained = _count(network), _count(network, learning=True)
    state = _FLOAT * (2 * parameters + (1 + _OPTIMISER) * trained) / (processes if sharded else 1)
    frozen = 0.0 if autoencoder is None else 2.0 * _FLOAT * _count(autoencoder)
    activations = kept.size * batch * (0.5 if half else 1.0)
    whole = _FLOAT * parameters if sharded else 0.0
    return Cost(
        parameters,
        trained,
        operations=float(counter.get_total_flops()) * batch * accumulated,
        memory=state + frozen + max(activations, whole),
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


def _count(network: nn.Module, learning: bool = False) -> int:
    """Its parameters, or those of them that learn."""
    return sum(own.numel() for own in network.parameters() if own.requires_grad or not learning)


def _scaled(value: float, unit: str) -> str:
    """With a prefix that leaves one to three digits before the point."""
    for prefix, size in (("T", 1e12), ("G", 1e9)):
        if value >= size:
            return f"{value / size:,.1f} {prefix}{unit}"
    return f"{value / 1e6:,.1f} M{unit}"


def _days(days: float) -> str:
    for unit, length in (("days", 1.0), ("hours", 1 / 24)):
        if days >= length:
            return f"{days / length:,.1f} {unit}"
    minutes = days * 1440
    return f"{minutes:,.0f} minutes" if minutes >= 1 else f"{60 * minutes:,.0f} seconds"
