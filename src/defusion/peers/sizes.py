"""Published networks of a given size, for the benchmark."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec

from torch import nn

from defusion.peers.network import DenoiserConfig, NAFNetConfig, Peer, PeerConfig, RestormerConfig, UformerConfig

_LEAST_CROP = 64
"""Of a Uformer whose coarsest map is still attended to as published."""


def peers_of(parameters: int, crop: int) -> Iterator[tuple[str, Peer]]:
    """Published networks with about so many parameters: a diffusion U-Net and NAFNet; Restormer where it is installed;
    Uformer for crops of 64 px or more."""
    yield "U-Net of DiffUIR's class of its size", matched(DenoiserConfig, range(8, 129, 4), parameters)
    yield "NAFNet of its size", matched(NAFNetConfig, range(4, 129), parameters)
    if find_spec("spandrel_extra_arches"):
        yield "Restormer of its size", matched(RestormerConfig, range(8, 97, 2), parameters)
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
