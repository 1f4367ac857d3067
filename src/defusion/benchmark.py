"""What a training step costs: the network, its plain counterpart, and the synthesis beside it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from torch import Tensor

from defusion.optimisation import named_optimizer
from defusion.precision import autocast
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.roofline import floor
from defusion.types import Batch
from defusion.unet.unet import UNet, UNetConfig

if TYPE_CHECKING:
    from defusion.peers.network import Peer  # needs an extra

_WARM_UP = 2


@dataclass(frozen=True)
class Timing:
    """One row of the benchmark."""

    name: str
    parameters: int
    seconds: float
    """Of one step, the median."""
    operations: int = 0
    """Floating-point operations, where they are counted."""


def seconds(step: Callable[[], object], repeats: int, device: torch.device) -> float:
    """The median time of a step, after a warm-up."""
    times = []
    for number in range(_WARM_UP + repeats):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= _WARM_UP:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def training_step(
    config: UNetConfig, batch: Batch, channels_last: bool = True, half: bool = True, compiled: bool = False
) -> tuple[UNet, Callable[[], object]]:
    """A network, and one optimiser step of it on the batch: bf16 autocast with `half`, fp32 without."""
    memory = torch.channels_last if channels_last else torch.contiguous_format
    network = UNet(config).to(batch.lq.device).to(memory_format=memory)
    if compiled:
        network.compile()
    lq, target = (x.contiguous(memory_format=memory) for x in (batch.lq, batch.target))
    t = torch.ones(len(lq), device=lq.device)
    tokens = torch.randn(len(lq), 64, config.token_channels, device=lq.device)

    return network, _optimised(network, lambda: network(target, t, lq, tokens).float() - lq + target, lq.device, half)


def peer_step(network: "Peer", batch: Batch) -> Callable[[], object]:
    """As `training_step`, of a network that sees the degraded picture alone."""
    network.to(batch.lq.device).to(memory_format=torch.channels_last)
    lq, target = (x.contiguous(memory_format=torch.channels_last) for x in (batch.lq, batch.target))
    return _optimised(network, lambda: network(lq) - target, lq.device)


def _optimised(
    network: "UNet | Peer", error: Callable[[], Tensor], device: torch.device, half: bool = True
) -> Callable[[], object]:
    trained = list(network.parameters())
    optimizer = named_optimizer("muon", trained, network.hidden_weights(), learning_rate=1e-3)

    def step() -> None:
        with autocast(device) if half else torch.enable_grad():
            loss = error().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def compare(
    config: UNetConfig, synthesise: Callable[[], Batch], repeats: int, compiled: bool = False
) -> Sequence[Timing]:
    """Times synthesis, the network, and the network without what makes it fast, on equal batches.

    Args:
        config: the network.
        synthesise: makes a batch.
        repeats: steps timed.
        compiled: also time the network under torch.compile, which has to compile first.
    """
    from defusion.peers.sizes import count, peers_of

    batch = synthesise()
    device = batch.lq.device
    plain = replace(config, patch=1)
    variants: list[tuple[str, UNetConfig, dict[str, bool]]] = [
        ("network, bf16, channels-last", config, {}),
        ("the same, contiguous", config, {"channels_last": False}),
        ("the same, fp32", config, {"half": False}),
        ("plain: no pixel-unshuffle, bf16, contiguous", plain, {"channels_last": False}),
    ]
    if compiled:
        variants.append(("network, bf16, channels-last, torch.compile", config, {"compiled": True}))
    rows = [Timing("synthesis", 0, seconds(synthesise, repeats, device))]
    for name, own, options in variants:
        network, step = training_step(own, batch, **options)
        rows.append(Timing(name, count(network), seconds(step, repeats, device)))
    for name, peer in peers_of(rows[1].parameters, batch.lq.shape[-1]):
        time_of = seconds(peer_step(peer, batch), repeats, device)
        rows.append(Timing(f"{name}, bf16, channels-last", count(peer), time_of))
    _, step = training_step(config, batch)
    alone = floor(step, lambda call: seconds(call, repeats, device))
    rows[1] = replace(rows[1], operations=alone.operations)
    rows.append(Timing(f"its {alone.calls} convolutions and products alone", 0, alone.seconds, alone.operations))
    return rows


def waiting(load: Iterator[Any], prepare: Callable[[Any], Batch], config: UNetConfig, repeats: int) -> Timing:
    """Times how long a step waits for its crops, which workers load while the network trains; the mean counts.

    Args:
        load: what the workers have loaded.
        prepare: makes a batch of it, on the device.
        config: the network.
        repeats: steps timed.
    """
    _, step = training_step(config, prepare(next(load)))
    times = []
    for number in range(_WARM_UP + repeats):
        start = time.perf_counter()
        loaded = next(load)
        if number >= _WARM_UP:
            times.append(time.perf_counter() - start)
        prepare(loaded)
        step()
    return Timing("waiting for crops", 0, sum(times) / len(times))


def compare_restoration(restorer: Restorer, height: int, width: int, repeats: int) -> Sequence[Timing]:
    """Times the restoration of one picture in one and in four steps, beside NAFNet of width 32, in one precision.

    NAFNet (Chen et al., 2022) is that of its GoPro weights, with fresh ones, through spandrel.

    Args:
        restorer: the model.
        height: of the picture, in pixels.
        width: of the picture.
        repeats: restorations timed.
    """
    from defusion.peers.network import NAFNetConfig, Peer

    device = restorer.device
    picture = torch.rand(3, height, width, generator=generator(0))
    shown = restorer.instruction("noise")
    peer = (
        Peer(NAFNetConfig(32, (1, 1, 1, 28), 1, (1, 1, 1, 1))).eval().to(device).to(memory_format=torch.channels_last)
    )

    def nafnet() -> None:
        with torch.inference_mode(), autocast(device):
            lq = picture[None].to(device).contiguous(memory_format=torch.channels_last)
            peer.restore(lq).float().cpu()

    ours = sum(own.numel() for own in restorer.model.parameters())
    rows = [
        Timing(f"ours, {steps} step(s)", ours, seconds(partial(restorer, picture, shown, steps=steps), repeats, device))
        for steps in (1, 4)
    ]
    count = sum(own.numel() for own in peer.parameters())
    return [*rows, Timing("NAFNet, width 32", count, seconds(nafnet, repeats, device))]


def shares(rows: Sequence[Timing], wait: Timing) -> tuple[str, str]:
    """What of a whole step is not the network's, and how near that comes to what its products alone reach.

    Args:
        rows: of `compare`.
        wait: of `waiting`.
    """
    synthesis, network, alone = rows[0], rows[1], rows[-1]
    whole = synthesis.seconds + network.seconds + wait.seconds
    speeds = [own.operations / own.seconds / 1e9 for own in (network, alone)]
    return (
        f"of a whole step synthesis is {synthesis.seconds / whole:.1%}, waiting for crops {wait.seconds / whole:.1%}",
        f"the network reaches {speeds[0]:.0f} of {speeds[1]:.0f} GFLOP/s ({speeds[0] / speeds[1]:.0%})",
    )


def table(rows: Sequence[Timing], batch_size: int, title: str = "") -> Table:
    """The timings, as ratios to the network's too."""
    reference = next(row for row in rows if row.parameters)
    result = Table(title=title, title_justify="left")
    for column in ("", "parameters", "ms", "samples/s", "GFLOP/s", "to the network"):
        result.add_column(column, justify="left" if not column else "right")
    for row in rows:
        result.add_row(
            row.name,
            f"{row.parameters / 1e6:.2f} M" if row.parameters else "",
            f"{row.seconds * 1e3:.0f}",
            f"{batch_size / row.seconds:.1f}",
            f"{row.operations / row.seconds / 1e9:.0f}" if row.operations else "",
            f"{row.seconds / reference.seconds:.2f}",
        )
    return result
