"""Measures a trained network of the study: the scores of degraded photographs, in each of several ways."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from defusion.diffusion.sampler import Sampler
from defusion.evaluation.benchmarks import Synthesis
from defusion.evaluation.metrics import Perceptual
from defusion.evaluation.obedience import middle
from defusion.evaluation.protocol import Protocol
from defusion.evaluation.report import write_json
from defusion.evaluation.synthesis import degradation_of, make_input
from defusion.evaluation.testset import SEED, PairSource, as_tensor
from defusion.instruction import InstructionKind, VisualInstruction
from defusion.peers.network import Peer
from defusion.precision import autocast, default_device
from defusion.restore.restorer import Restorer
from defusion.study.claims import REFERENCE
from defusion.study.plan import Run
from defusion.study.scores import ImageScore, Measurement, Scores
from defusion.study.timing import Record

SIZE = 256
"""Side in px of the square that is taken from the middle of each photograph; smaller ones are taken whole."""

TASKS = ("rain", "snow", "haze")

_PROTOCOL = Protocol(extra=("lpips",))


@dataclass(frozen=True)
class Way:
    """One way to measure a network.

    Attributes:
        name: of the measurement.
        steps: network evaluations.
        sampler: of the diffusion.
        instruction: what is shown: the degradations by name, or with each picture's own parameters.
        severity: of each degradation, in [0, 1]; mid severity when not given.
        tasks: degradations and composites, in the order they act.
    """

    name: str
    steps: int = 1
    sampler: Sampler = "ddim"
    instruction: InstructionKind = "type-matched"
    severity: float | None = None
    tasks: tuple[str, ...] = TASKS

    @property
    def synthesis(self) -> Synthesis:
        """How pictures are degraded."""
        return Synthesis("standard", severity=self.severity)


MAIN = Way("main")

WAYS = (
    MAIN,
    *(Way(f"steps-{steps}", steps) for steps in (1, 2, 4, 10, 50)),
    *(Way(f"sde-{steps}", steps, "sde") for steps in (4, 10, 50)),
    Way("parameter-matched", instruction="parameter-matched"),
    *(Way(f"severity-{severity}", severity=severity) for severity in (0.2, 0.8, 1.0)),
    Way("composites-2", tasks=("rain+haze", "snow+haze", "rain+snow")),
    Way("composites-3", tasks=("rain+snow+haze",)),
)
"""Of the reference; the trainings end at severity 0.8 and at composites of two."""


@dataclass(frozen=True)
class Degraded:
    """One degraded photograph, (3, H, W) in [0, 1], what it is made of, and its number among the photographs."""

    hq: Tensor
    lq: Tensor
    task: str
    number: int


Restore = Callable[[Degraded, Way], Tensor]
"""The restored picture, (3, H, W) in [0, 1]."""


def ways_of(run: Run) -> tuple[Way, ...]:
    """All ways for the reference, the main one for any other."""
    return WAYS if run.variant.name == REFERENCE else (MAIN,)


def is_measured(run: Run, photographs: PairSource, lpips: bool) -> bool:
    """Whether a trained run has the scores of these photographs, with LPIPS where it is wanted."""
    try:
        found = json.loads((run.training.folder / "measured.json").read_text(encoding="utf-8"))
        return run.scores.is_file() and found["pictures"] == photographs.identity and found["lpips"] >= lpips
    except (OSError, ValueError, KeyError, TypeError):
        return False


def measure(
    run: Run,
    photographs: PairSource,
    perceptual: Perceptual | None,
    watch: Callable[[Sequence[Way]], Iterable[Way]] = iter,
) -> Scores:
    """Scores a trained run and writes `scores.json`, whole or not at all.

    Args:
        run: trained to the end.
        photographs: their references are the clean pictures.
        perceptual: LPIPS; None leaves it out.
        watch: shows the way through the ways.
    """
    restore, parameters = _of_peer(run) if run.variant.peer else _of_diffusion(run)
    done: list[Measurement] = []
    for way in watch(ways_of(run)):
        again = bool(done) and replace(way, name=MAIN.name) == MAIN
        done.append(replace(done[0], name=way.name) if again else _measured(way, photographs, restore, perceptual))
    if run.variant.peer:
        done = [replace(own, instruction="none", sampler="none") for own in done]
    record = Record.read(run.training.folder)
    scores = Scores(run.variant.name, run.seed, parameters, run.training.steps, record.total, record.curve, tuple(done))
    scores.write(run.scores)
    about = {"pictures": photographs.identity, "lpips": perceptual is not None}
    write_json(run.training.folder / "measured.json", about)
    return scores


def _measured(way: Way, photographs: PairSource, restore: Restore, perceptual: Perceptual | None) -> Measurement:
    """One way, over all photographs under each task, keys (SEED, number) as in `defusion eval`."""
    images = []
    for number, name in enumerate(photographs.names):
        hq = middle(as_tensor(photographs[number][1]), SIZE)
        for task in way.tasks:
            degraded = Degraded(hq, make_input(way.synthesis, task, hq, number, SEED), task, number)
            before, after = (
                {metric: float(value) for metric, value in _PROTOCOL.scores(x[None], hq[None], perceptual).items()}
                for x in (degraded.lq, restore(degraded, way))
            )
            images.append(ImageScore(name=name, input=before, restored=after, task=task))
    return Measurement(way.name, way.instruction, way.sampler, way.steps, tuple(images))


def _of_diffusion(run: Run) -> tuple[Restore, int]:
    """How it restores, and its parameters but those of the tokenizer."""
    restorer = Restorer.from_pretrained(run.training.weights)
    named = cache(lambda task: restorer.instruction(task))

    def restore(degraded: Degraded, way: Way) -> Tensor:
        shown: VisualInstruction = named(degraded.task)
        if way.instruction == "parameter-matched":
            own = degradation_of(way.synthesis, degraded.task, degraded.number, SEED)
            shown = VisualInstruction.parameter_matched(own, restorer.chart, 0, degraded.number)
        return restorer(degraded.lq[None], shown, way.steps, way.sampler)[0]

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
