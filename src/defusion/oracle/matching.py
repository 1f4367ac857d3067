"""Rain, snow, drops and composites of one pair: the library's draw whose statistics are nearest.

Where each streak fell cannot be told from a pair, how many there are, how long and how bright they are can: draws
of the library's operator degrade the clean picture, and those that change it as the pair does are kept and bred
(a cross-entropy search on summary statistics, as in approximate Bayesian computation).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from defusion.degradations.library import Compose, rows_of
from defusion.degradations.standard import standard
from defusion.oracle.fitted import Fitted, Pair
from defusion.oracle.statistics import statistics
from defusion.random import generator
from defusion.types import Params

_PART = 256
"""Pixels along a side that are compared."""
_FIRST, _LATER, _ROUNDS = 64, 40, 3
"""Draws in the first round, draws bred in a later one, and number of later ones."""
_ELITE = 8
_JITTER = 0.25
"""How far each parameter strays from the common mixture of its degradation."""
_BATCH = 8
_BROAD = 0.05
"""Share of the scatter of all draws that counts as noise of a statistic: real pictures are not the library's."""
_EXACT = 1e-6
"""A distance so small is none: the pair is clean."""


@dataclass(frozen=True)
class _Tried:
    """Parameters that were tried, the statistics of two fields each, (n, 2, S)."""

    params: Params
    found: Tensor

    def joined(self, other: "_Tried") -> "_Tried":
        params = {name: torch.cat([value, other.params[name]]) for name, value in self.params.items()}
        return _Tried(params, torch.cat([self.found, other.found]))


def fit_by_matching(task: str, pair: Pair, seed: int = 0) -> Fitted:
    """The parameters of "rain", "rain+noise", ... that change the clean picture as the pair does.

    A degradation with noise has Gaussian noise. Parameters are the mean of the nearest draws; counts, kinds and
    maps, which have no mean, are those of the nearest.

    Args:
        task: degradations of the library, joined by "+", in the order they act.
        pair: its centre is compared.
        seed: of the draws.
    """
    operator, _ = standard(task)
    part, draw = pair.crop(_PART), generator(seed)
    wanted = statistics(part.lq, part.hq)[0]
    tried = _try(operator, _first(operator, draw), part, draw)
    for _ in range(_ROUNDS):
        elite = _distances(tried, wanted).argsort()[:_ELITE]
        bred = _breed(rows_of(tried.params, elite), tried.params, draw)
        tried = tried.joined(_try(operator, bred, part, draw))
    return Fitted(task, operator, _mean(tried.params, _distances(tried, wanted)))


def _first(operator: Compose, draw: torch.Generator) -> Params:
    """Draws whose severities are spread evenly, the first of them the identity."""
    spread = torch.linspace(0, 1, _FIRST)
    severities = torch.stack([spread[1:][torch.randperm(_FIRST - 1, generator=draw)] for _ in operator.members], dim=1)
    return operator.draw(_FIRST, draw, torch.cat([torch.zeros(1, len(operator.members)), severities]))


def _try(operator: Compose, params: Params, part: Pair, draw: torch.Generator) -> _Tried:
    count = len(params["sequence"])
    found = []
    for rows in torch.arange(count).split(_BATCH):
        twice = rows.repeat_interleave(2)
        y = operator.apply(part.hq.expand(len(twice), -1, -1, -1), rows_of(params, twice), draw)
        found.append(statistics(y, part.hq).unflatten(0, (-1, 2)))
    return _Tried(params, torch.cat(found))


def _distances(tried: _Tried, wanted: Tensor) -> Tensor:
    """Mean square distance of each draw's statistics, each in units of its own noise: (n,)."""
    mean, apart = tried.found.mean(1), tried.found[:, 0] - tried.found[:, 1]
    noise = apart.square().mean(0) / 2 + (_BROAD * mean.std(0)).square()
    return ((mean - wanted).square() / noise.clamp(min=1e-12)).mean(1)


def _breed(elite: Params, everything: Params, draw: torch.Generator) -> Params:
    """Each parameter between (or a little beyond) those of two of the elite, within what the library draws."""
    mother, father = torch.randint(len(elite["sequence"]), (2, _LATER), generator=draw)
    members = {name.split(".")[0] for name in elite}
    common = {member: 1.8 * torch.rand(_LATER, generator=draw) - 0.4 for member in sorted(members)}
    bred: Params = {}
    for name, value in elite.items():
        share = common[name.split(".")[0]]
        if not _has_mean(everything[name]):
            bred[name] = value[torch.where(share < 0.5, mother, father)]
            continue
        if not name.endswith(".severity"):
            share = share + _JITTER * torch.randn(_LATER, generator=draw)
        low, high = everything[name].amin(0), everything[name].amax(0)
        share = share.view(-1, *[1] * (value.ndim - 1))
        bred[name] = torch.lerp(value[mother], value[father], share).clamp(low, high)
    return bred


def _mean(params: Params, distances: Tensor) -> Params:
    """The mean of the nearest draws, the nearer the more; the first exact match stands alone. One row."""
    nearest = distances.argsort(stable=True)[: _ELITE if distances.min() > _EXACT else 1]
    weight = 1 / (distances[nearest] - 0.9 * distances[nearest[0]] + _EXACT) ** 2
    weight = weight / weight.sum()
    result: Params = {}
    for name, value in params.items():
        if _has_mean(value):
            result[name] = torch.tensordot(weight, value[nearest], dims=1)[None]
        else:
            result[name] = value[nearest[:1]]
    return result


def _has_mean(value: Tensor) -> bool:
    """Strengths, angles and colours; not counts, kinds, kernels or maps."""
    return value.is_floating_point() and value.ndim < 3 and not bool((value == value.round()).all())
