"""Measures a trained network of the study: the scores of degraded photographs, in each of several ways."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from defusion.evaluation.metrics import Perceptual
from defusion.evaluation.obedience import middle
from defusion.evaluation.protocol import Protocol
from defusion.evaluation.synthesis import degradation_of, make_input
from defusion.evaluation.testset import SEED, PairSource, as_tensor
from defusion.instruction import VisualInstruction
from defusion.peers.network import Peer
from defusion.precision import autocast, default_device
from defusion.restore.restorer import Restorer
from defusion.study.plan import Run, Training
from defusion.study.provenance import provenance_of
from defusion.study.scores import ImageScore, Measurement, Scores, ScoresError
from defusion.study.timing import Record
from defusion.study.ways import MAIN, Way, ways_of
from defusion.weights import checksum

SIZE = 256
"""Side in px of the square that is taken from the middle of each photograph; smaller ones are taken whole."""

_PROTOCOL = Protocol(extra=("lpips",))


@dataclass(frozen=True)
class Degraded:
    """One degraded photograph, (3, H, W) in [0, 1], what it is made of, and its number among the photographs."""

    hq: Tensor
    lq: Tensor
    task: str
    number: int


Restore = Callable[[Degraded, Way], Tensor]
"""The restored picture, (3, H, W) in [0, 1]."""


def identity_of(run: Run, photographs: PairSource, perceptual: Perceptual | None) -> dict[str, Any]:
    """All that the scores of a trained run depend on, as JSON values."""
    about = {
        "ways": [asdict(way) for way in ways_of(run)],
        "size": SIZE,
        "degradation_seed": SEED,
        "protocol": asdict(_PROTOCOL),
        "pictures": photographs.identity,
        "weights": checksum(run.training.weights),
        "lpips": None if perceptual is None else _lpips_identity(perceptual),
    }
    return dict(_plain(about))


def _plain(value: Any) -> Any:
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(value))


def is_measured(run: Run, photographs: PairSource, perceptual: Perceptual | None) -> bool:
    """Whether a trained run has these scores of these photographs; without LPIPS, those with any LPIPS do."""
    try:
        found = Scores.read(run.scores).identity
    except ScoresError:
        return False
    wanted = identity_of(run, photographs, perceptual)
    return found == (wanted if perceptual is not None else wanted | {"lpips": found.get("lpips")})


def measure(
    run: Run,
    photographs: PairSource,
    perceptual: Perceptual | None,
    watch: Callable[[Sequence[Way]], Iterable[Way]] = iter,
) -> Scores:
    """Scores a trained run; writes `scores.json` after each way, whole or not at all. What it has is not taken anew.

    Args:
        run: trained to the end.
        photographs: their references are the clean pictures.
        perceptual: LPIPS; None leaves it out.
        watch: shows the way through the ways.
    """
    restore, parameters = _of_peer(run) if run.variant.peer else _of_diffusion(run)
    record, tokenizer = Record.read(run.training.folder), run.training.tokenizer
    identity = identity_of(run, photographs, perceptual)
    tokenizer_seconds = None if tokenizer is None else _seconds(tokenizer)
    provenance = provenance_of(run.training.folder, SIZE)
    pictures, found = _Pictures(photographs, perceptual), _measured_before(run, identity)

    def scores_of(taken: Mapping[Way, Measurement]) -> Scores:
        return Scores(
            variant=run.variant.name,
            seed=run.seed,
            parameters=parameters,
            train_steps=run.training.steps,
            train_seconds=record.total,
            tokenizer_seconds=tokenizer_seconds,
            curve=record.curve,
            measurements=tuple(taken.values()),
            provenance=provenance,
            identity=identity | {"ways": _plain([asdict(way) for way in taken])},
        )

    for way in watch(ways_of(run)):
        if way in found:
            continue
        if way != MAIN and replace(way, name=MAIN.name) == MAIN:
            found[way] = replace(found[MAIN], name=way.name)
        else:
            own = pictures.measured(way, restore)
            found[way] = replace(own, instruction="none", sampler="none") if run.variant.peer else own
        scores_of(found).write(run.scores)
    scores = scores_of({way: found[way] for way in ways_of(run)})
    scores.write(run.scores)
    return scores


def _measured_before(run: Run, identity: dict[str, Any]) -> dict[Way, Measurement]:
    """What `scores.json` holds, by way, where all but the ways is as it is now."""
    try:
        scores = Scores.read(run.scores)
    except ScoresError:
        return {}
    if {**scores.identity, "ways": identity["ways"]} != identity:
        return {}
    kept = scores.identity["ways"]
    found = {way: scores.measurement(way.name) for way in ways_of(run) if _plain(asdict(way)) in kept}
    return {way: own for way, own in found.items() if own is not None}


class _Pictures:
    """The degraded photographs, keys (SEED, number) as in `defusion eval`, and their own scores, taken once."""

    def __init__(self, photographs: PairSource, perceptual: Perceptual | None) -> None:
        self._photographs, self._perceptual = photographs, perceptual
        self._before: dict[tuple[int, str, float, bool], dict[str, float]] = {}

    def measured(self, way: Way, restore: Restore) -> Measurement:
        """One way, over all photographs under each task."""
        images = []
        for number, name in enumerate(self._photographs.names):
            hq = middle(as_tensor(self._photographs[number][1]), SIZE)
            for task in way.tasks:
                degraded = Degraded(hq, make_input(way.synthesis, task, hq, number, SEED), task, number)
                key = (number, task, way.severity, way.lpips)
                if key not in self._before:
                    self._before[key] = self._scores(degraded.lq, hq, way)
                after = self._scores(restore(degraded, way), hq, way)
                images.append(ImageScore(name=name, input=self._before[key], restored=after, task=task))
        return Measurement(way.name, way.instruction, way.sampler, way.steps, way.severity, tuple(images))

    def _scores(self, picture: Tensor, hq: Tensor, way: Way) -> dict[str, float]:
        scores = _PROTOCOL.scores(picture[None], hq[None], self._perceptual if way.lpips else None)
        return {metric: float(value) for metric, value in scores.items()}


@cache
def _lpips_identity(perceptual: Perceptual) -> str:
    """SHA-256 of the weights of a network, the name of any other function."""
    if not isinstance(perceptual, nn.Module):
        return str(getattr(perceptual, "__qualname__", type(perceptual).__qualname__))
    digest = hashlib.sha256()
    for name, own in perceptual.state_dict().items():
        digest.update(name.encode())
        digest.update(own.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _seconds(training: Training) -> float | None:
    """Of a training; None where it was not timed."""
    if not training.folder.is_dir():
        return None
    try:
        return Record.read(training.folder).total
    except ValueError:
        return None


def _of_diffusion(run: Run) -> tuple[Restore, int]:
    """How it restores, and its parameters but those of the tokenizer."""
    restorer = Restorer.from_pretrained(run.training.weights)
    draws = run.seed << 32  # each picture starts from noise of its own
    named = cache(lambda task: restorer.instruction(task))

    def restore(degraded: Degraded, way: Way) -> Tensor:
        shown: VisualInstruction = named(degraded.task)
        if way.instruction == "parameter-matched":
            own = degradation_of(way.synthesis, degraded.task, degraded.number, SEED)
            shown = VisualInstruction.parameter_matched(own, restorer.chart, 0, degraded.number)
        seed = draws + degraded.number
        return restorer(degraded.lq, shown, steps=way.steps, sampler=way.sampler, seed=seed, tile=0).image

    return restore, sum(own.numel() for own in restorer.model.parameters() if own.requires_grad)


def _of_peer(run: Run) -> tuple[Restore, int]:
    """How it restores, and its parameters."""
    device = default_device()
    peer = Peer.load(run.training.weights).to(device).to(memory_format=torch.channels_last)

    def restore(degraded: Degraded, way: Way) -> Tensor:
        with torch.inference_mode(), autocast(device):
            lq = degraded.lq[None].to(device).contiguous(memory_format=torch.channels_last)
            return peer.restore(lq)[0].float().cpu().contiguous()

    return restore, sum(own.numel() for own in peer.parameters())
