"""Obedience: does the model do what it is shown, and nothing more?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeAlias

from rich import box, get_console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from defusion.degradations.library import NAMES, composites
from defusion.evaluation.benchmarks import Synthesis
from defusion.evaluation.metrics import MAX_PSNR, psnr
from defusion.evaluation.synthesis import degradation_of, make_input
from defusion.evaluation.testset import SEED, PairSource, as_tensor
from defusion.instruction import NULL
from defusion.restore.restorer import Restorer

PAIRS = composites(2)
"""The composites of two degradations that go together."""

_STANDARD = Synthesis("standard")
_CASES = 60
_CASES_EACH = 2
_STRIDE = 13
"""Cases that follow each other are so many of `PAIRS` apart: few cases have many different members."""

Restore: TypeAlias = Callable[[Tensor, str], Tensor]
"""A picture (3, H, W) in [0, 1] and the degradation that it is shown, by name -> the restored picture."""


@dataclass(frozen=True)
class Answer:
    """How the model answers the instruction of one degradation, over all photographs.

    Attributes:
        null: change of the degraded pictures by the null instruction, relative to that by the right one; see
            `relative_rms`.
        mismatched: likewise, by instructions of degradations that they do not have.
        clean_mean: PSNR in dB of clean pictures that were shown this degradation, of floats, equal ones counting
            `MAX_PSNR`; mean over photographs.
        clean_min: the least of them, in dB.
    """

    null: float
    mismatched: float
    clean_mean: float
    clean_min: float


@dataclass(frozen=True)
class Case:
    """One composite of which one member was shown.

    Attributes:
        photograph: its name.
        degradations: of the composite.
        shown: the one to be removed.
        obeyed: the output is nearer (MSE) to the composite without it than to the composite and to the clean picture.
    """

    photograph: str
    degradations: tuple[str, ...]
    shown: str
    obeyed: bool


@dataclass(frozen=True)
class Obedience:
    """What was measured.

    Attributes:
        answers: of each degradation, in the order of the library.
        overall: of all pictures of all degradations together: RMS changes are over all of them.
        cases: the composites shown in part, at least one.
    """

    answers: Mapping[str, Answer]
    overall: Answer
    cases: tuple[Case, ...]

    @property
    def partial(self) -> float:
        """The share of the cases that were obeyed, in [0, 1]."""
        return fmean(case.obeyed for case in self.cases)

    def obeyed(self, *shown: str) -> str:
        """How many of the cases that were shown one of these degradations were obeyed, "3 of 5"."""
        own = [case.obeyed for case in self.cases if case.shown in shown]
        return f"{sum(own)} of {len(own)}"

    def as_json(self) -> dict[str, Any]:
        """For a JSON file; a change that is infinite, relative to none, is null."""
        return {
            "degradations": {name: _finite(answer) for name, answer in self.answers.items()},
            "all": _finite(self.overall),
            "partial": {
                "obeyed": self.partial,
                "num_cases": len(self.cases),
                "cases": [asdict(case) for case in self.cases],
            },
        }

    def table(self, title: str) -> Table:
        """A row a degradation, then all together."""
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("shown")
        for head in ("null\n%", "mismatched\n%", "clean, mean\ndB", "clean, min\ndB", "parts\nobeyed"):
            table.add_column(head, justify="right")
        for name, own in [*self.answers.items(), ("all", self.overall)]:
            if name == "all":
                table.add_section()
            shares = (f"{100 * share:.2f}" for share in (own.null, own.mismatched))
            parts = self.obeyed(*(NAMES if name == "all" else (name,)))
            table.add_row(name, *shares, f"{own.clean_mean:.2f}", f"{own.clean_min:.2f}", parts)
        return table


@dataclass(frozen=True)
class _Measured:
    """One photograph under one degradation: mean square changes, and the PSNR of the clean picture in dB."""

    right: float
    null: float
    mismatched: float
    clean: float


@dataclass(frozen=True)
class _Photograph:
    """A clean picture (3, H, W), its name and its place among the others."""

    hq: Tensor
    name: str
    number: int

    def under(self, spec: str) -> Tensor:
        """The picture of the synthetic test of "rain" or "rain+noise"."""
        return make_input(_STANDARD, spec, self.hq, self.number, SEED)

    def single(self, restore: Restore, task: str) -> _Measured:
        """Degraded by the task, shown it, nothing and something else; and clean, shown it."""
        lq = self.under(task)
        other = NAMES[(NAMES.index(task) + 1 + self.number % (len(NAMES) - 1)) % len(NAMES)]
        right, null, mismatched = (mean_square(restore(lq, shown), lq) for shown in (task, NULL, other))
        clean = psnr(restore(self.hq, task)[None], self.hq[None]).clamp(max=MAX_PSNR)
        return _Measured(right, null, mismatched, float(clean))

    def partial(self, restore: Restore, pair: tuple[str, ...], shown: str) -> Case:
        """Degraded by the pair, shown one of it."""
        spec = "+".join(pair)
        lq = self.under(spec)
        others = degradation_of(_STANDARD, spec, self.number, SEED).without(shown)
        restored = restore(lq, shown)
        target, *rest = (mean_square(restored, x) for x in (others.apply(self.hq[None])[0], lq, self.hq))
        return Case(self.name, pair, shown, target < min(rest))


def measure(restorer: Restorer, photographs: PairSource, size: int = 256, steps: int = 1, seed: int = 0) -> Obedience:
    """Restores photographs by right, null and wrong instructions, clean ones, and composites shown in part.

    Pictures are degraded as in the synthetic tests (standard degradations, key (`SEED`, number)); instructions are
    type-matched. Picture i of a degradation is mismatched with the (1 + i mod 10)-th next name of the library. Of
    each photograph at least two composites are made, of all of them at least 60; first and second member are shown
    in turns.

    Args:
        restorer: the model.
        photographs: their references are the clean pictures; at least one.
        size: side in px of the square that is taken from the middle; smaller photographs are taken whole.
        steps: sampling steps.
        seed: of the diffusion noise and of the instructions.

    Raises:
        ValueError: without a photograph.
    """
    if not photographs.names:
        raise ValueError("photographs: expected at least one, got none")
    restore = _by_name(restorer, steps, seed)
    measured: dict[str, list[_Measured]] = {name: [] for name in NAMES}
    cases: list[Case] = []
    each = max(_CASES_EACH, math.ceil(_CASES / len(photographs)))
    with Progress(console=get_console()) as bar:
        work = bar.add_task("obedience", total=len(photographs) * (len(NAMES) + each))
        for number, name in enumerate(photographs.names):
            own = _Photograph(middle(as_tensor(photographs[number][1]), size), name, number)
            for task in NAMES:
                measured[task].append(own.single(restore, task))
                bar.advance(work)
            for _ in range(each):
                pair = PAIRS[_STRIDE * len(cases) % len(PAIRS)]
                cases.append(own.partial(restore, pair, pair[len(cases) % 2]))
                bar.advance(work)
    everything = [row for rows in measured.values() for row in rows]
    return Obedience({task: _answer(rows) for task, rows in measured.items()}, _answer(everything), tuple(cases))


def mean_square(x: Tensor, y: Tensor) -> float:
    """The mean square difference of two pictures of one shape."""
    return float((x - y).square().mean())


def relative_rms(changes: Sequence[float], references: Sequence[float]) -> float:
    """RMS over pictures of one change relative to that of another: 0.1 is a tenth of it.

    Args:
        changes: mean square of each picture's change.
        references: of the change by the right instruction, of the same pictures.

    Returns:
        0 or more; 0 where nothing changes, infinite where the reference alone is nothing.
    """
    change, reference = math.fsum(changes), math.fsum(references)
    if change == 0:
        return 0.0
    return math.sqrt(change / reference) if reference else math.inf


def _by_name(restorer: Restorer, steps: int, seed: int) -> Restore:
    instructions = {name: restorer.instruction(name, seed) for name in (NULL, *NAMES)}
    return lambda picture, shown: restorer(picture, instructions[shown], steps=steps, seed=seed, tile=0).image


def _answer(rows: Sequence[_Measured]) -> Answer:
    right, clean = [row.right for row in rows], [row.clean for row in rows]
    null, mismatched = (relative_rms(own, right) for own in ([r.null for r in rows], [r.mismatched for r in rows]))
    return Answer(null, mismatched, fmean(clean), min(clean))


def _finite(answer: Answer) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(answer).items()}


def middle(picture: Tensor, size: int) -> Tensor:
    """The middle square of a picture (3, H, W), no larger than it."""
    rows, columns = (slice((side - min(side, size)) // 2, (side + min(side, size)) // 2) for side in picture.shape[1:])
    return picture[:, rows, columns]
