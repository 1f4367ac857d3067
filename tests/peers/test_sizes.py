"""Peers for the benchmark: of the nearest size."""

from defusion.peers.network import NAFNetConfig, Peer
from defusion.peers.sizes import count, matched, peers_of


def test_peers_are_of_the_nearest_size() -> None:
    wanted = count(Peer(NAFNetConfig(16)))
    assert matched(NAFNetConfig, range(4, 40), wanted).config == NAFNetConfig(16)
    assert matched(NAFNetConfig, range(4, 40), wanted + 1).config == NAFNetConfig(16)
    assert matched(NAFNetConfig, range(4, 12), wanted).config == NAFNetConfig(11)


def test_all_are_near_the_size_that_is_asked_for() -> None:
    found = dict(peers_of(6_000_000, 64))
    assert len(found) >= 3
    for name, peer in found.items():
        assert abs(count(peer) / 6_000_000 - 1) < 0.15, name
