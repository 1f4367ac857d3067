"""Published networks of a given size, and one training step of them, for the benchmark."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from defusion.optimisation import scheduled
from defusion.peers.network import NAFNetConfig, Peer, PeerConfig, UformerConfig
from defusion.precision import autocast
from defusion.types import Batch

_LEAST_CROP = 64
"""Of a Uformer whose coarsest map is still attended to as published."""


def peers_of(parameters: int, crop: int) -> Iterator[tuple[str, Peer]]:
    """NAFNet and, for crops of 64 px or more, Uformer with about so many parameters."""
    yield "NAFNet of its size", matched(NAFNetConfig, range(4, 129), parameters)
    if crop >= _LEAST_CROP:
        yield "Uformer of its size", matched(lambda own: UformerConfig(own, crop=crop), range(4, 129, 4), parameters)


def matched(build: Callable[[int], PeerConfig], widths: Sequence[int], parameters: int) -> Peer:
    """The network whose size is nearest to so many parameters, among those of the given widths, in rising order."""
    place = bisect_left(widths, parameters, key=lambda width: count(Peer(build(width))))
    near = [Peer(build(width)) for width in widths[max(0, place - 1) : place + 1]]
    return min(near, key=lambda own: abs(count(own) - parameters))


def count(network: nn.Module) -> int:
    """Its parameters."""
    return sum(own.numel() for own in network.parameters())


def peer_step(network: Peer, batch: Batch) -> Callable[[], object]:
    """One step of a network that sees the degraded picture alone: bf16, channels-last, the optimiser of ours."""
    network = network.to(batch.lq.device).to(memory_format=torch.channels_last)
    trained = list(network.parameters())
    optimizer = scheduled("muon", trained, network.hidden_weights(), math.inf, 1e-3, 1e-3, 0, 0.0)["optimizer"]
    lq, target = (x.contiguous(memory_format=torch.channels_last) for x in (batch.lq, batch.target))

    def step() -> None:
        with autocast(lq.device):
            loss = (network(lq) - target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
