"""One evaluation that was asked for, in a form that another process can carry out too."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich import get_console

from data_modules.benchmark import PairSet, PairSetError, open_benchmark
from data_modules.clean import open_clean
from defusion.evaluation.benchmarks import Benchmark
from defusion.evaluation.outcome import Measured, Outcome
from defusion.evaluation.processes import share_out
from defusion.evaluation.progress import watched
from defusion.evaluation.runner import Evaluator
from defusion.evaluation.synthesis import degradation_of
from defusion.evaluation.tasks import MissingDataError, explain, is_synthetic
from defusion.evaluation.testset import SEED, Sample, TestSet, shown_of
from defusion.instruction import InstructionKind, VisualInstruction
from defusion.ledger import Ledger, Row
from defusion.oracle import instruction as oracle_instruction
from defusion.oracle.fitted import MIN_SIDE
from defusion.pretrained import find
from defusion.restore.restorer import Restorer
from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss
from defusion.weights import checksum

LEDGERS = Path("runs/eval")
"""Where unfinished evaluations keep their scores."""

_WORDS: dict[InstructionKind, str] = {
    "type-matched": "type-matched, by name",
    "parameter-matched": "with the very parameters of each picture (parameter-matched)",
    "oracle": "fitted to each picture and its reference (oracle)",
    "auto": "as the model describes each picture itself (auto)",
}


@dataclass(frozen=True)
class Request:
    """What to evaluate, and by what.

    Attributes:
        benchmark: the test set, or the degradation of clean pictures.
        data: its folder or data set; None for the embedded photographs of a synthetic test.
        weights: name of a shipped model, or folder.
        steps: sampling steps.
        seed: of the diffusion noise and the instructions.
        instruction: what kind of instruction each picture is shown.
        standin: the benchmark stands in for the one of its name.
        subset: a part of the test set is evaluated on purpose.
        lpips: torchvision's AlexNet weights; None leaves LPIPS out.
        save: folder for the restored pictures.
    """

    benchmark: Benchmark
    data: str | None
    weights: str
    steps: int
    seed: int
    instruction: InstructionKind = "type-matched"
    standin: bool = False
    subset: bool = False
    lpips: Path | None = None
    save: Path | None = None

    def open(self) -> TestSet:
        """The test set, checked whole.

        Raises:
            MissingDataError: its data is not there; says where it comes from.
            PairSetError: it is there, but not as it should be; or its parameters are to be shown and are unknown.
        """
        own = self.benchmark
        if self.instruction == "parameter-matched" and own.synthesis is None:
            raise PairSetError(
                "--instruction parameter-matched: expected a test set whose inputs are made here, got "
                f"{own.name}, whose real inputs have no known parameters: show them type-matched or oracle instructions"
            )
        if is_synthetic(own):
            return self._checked(open_clean(self.data))
        if self.data is None:
            raise MissingDataError(explain(own))
        return self._checked(
            open_benchmark(
                self.data, own.layouts, own.folders, count=own.count, subset=self.subset, crop_target=own.crop_target
            )
        )

    def _checked(self, pairs: PairSet) -> TestSet:
        """The test set, when its names tell what to show and an oracle has enough to see."""
        for facts in pairs.facts:
            shown_of(self.benchmark, facts)
        if self.instruction == "oracle":
            small = [name for number, name in enumerate(pairs.names) if min(pairs.sizes(number)[1]) < MIN_SIDE]
            if small:
                raise PairSetError(
                    f"--instruction oracle: expected pictures of at least {MIN_SIDE} px a side, got {len(small)} "
                    f"smaller ones ({', '.join(small[:3])}): show them the type-matched instruction"
                )
        return TestSet(self._scored(), pairs)

    def _scored(self) -> Benchmark:
        """The benchmark, its protocol with LPIPS where that is at hand, and without where it is not."""
        protocol = self.benchmark.protocol
        plain = tuple(name for name in protocol.extra if name != "lpips")
        extra = (*plain, "lpips") if self.lpips is not None and not protocol.align else plain
        return replace(self.benchmark, protocol=replace(protocol, extra=extra))

    def evaluator(self, restorer: Restorer) -> Evaluator:
        """How the model is used."""
        kind = "" if self.instruction == "type-matched" else f"-{self.instruction}"
        name = f"{self.benchmark.name}{'-standin' if self.standin else ''}{kind}"
        save = None if self.save is None else self.save / name
        perceptual = None if self.lpips is None else PerceptualLoss(PerceptualConfig("alex", str(self.lpips)))
        return Evaluator(restorer, self._instruct(restorer), self.steps, self.seed, perceptual, save)

    def _instruct(self, restorer: Restorer) -> Callable[[Sample], VisualInstruction]:
        """What each sample is shown."""
        chart, seed, own = restorer.chart, self.seed, self.benchmark
        if self.instruction == "oracle":
            return lambda sample: oracle_instruction(sample.shown, sample.lq, sample.hq, chart, seed)
        if self.instruction == "parameter-matched":
            synthesis = own.synthesis
            assert synthesis is not None, f"{own.name}: opened without known parameters"
            return lambda sample: VisualInstruction.parameter_matched(
                degradation_of(synthesis, own.task, sample.number, SEED), chart, seed, sample.number
            )
        if self.instruction == "auto":
            return lambda sample: restorer.describe(sample.lq)[0]
        named = cache(lambda shown: restorer.instruction(shown, seed))
        return lambda sample: named(sample.shown)

    def run(self, test: TestSet, evaluator: Evaluator, ledger: Ledger, devices: int = 1) -> Outcome:
        """Scores what is left of the test set; an interrupted run goes on where it was."""
        start = time.perf_counter()
        left = [number for number, name in enumerate(test.pairs.names) if name not in ledger.rows]
        if ledger.rows:
            get_console().print(f"{self.benchmark.name}: going on, {len(ledger.rows)} of {len(test)} pictures are done")
        with watched(self.benchmark.name, len(test), ledger) as keep:
            if devices == 1 or len(left) < 2:
                evaluator.run(test, left, keep)
            else:
                share_out(self.work, left, devices, keep)
        if left and devices == 1:
            busy = sum(ledger.rows[test.pairs.names[number]]["seconds"] for number in left)
            wall = time.perf_counter() - start
            get_console().print(f"{len(left)} pictures in {wall:.1f} s, {busy / wall:.0%} of it restoring")
        return self._outcome(test, [ledger.rows[name] for name in test.pairs.names])

    def work(self, rank: int, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
        """One process's share, on its own device where there are several."""
        device = f"cuda:{rank % torch.cuda.device_count()}" if torch.cuda.is_available() else None
        self.evaluator(Restorer.from_pretrained(self.weights, device)).run(self.open(), numbers, keep)

    def ledger(self, test: TestSet) -> Ledger:
        """Of this very evaluation: one of anything else is another file."""
        identity: dict[str, Any] = asdict(self) | {
            "weights": checksum(find(self.weights)),
            "data": str(Path(self.data).resolve()) if self.data and Path(self.data).exists() else self.data,
            "pictures": test.pairs.identity,
            "release": version("defusion"),
        }
        identity = json.loads(json.dumps(identity, default=str))
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return Ledger(LEDGERS / f"{self.benchmark.name}-{digest[:12]}.jsonl", identity)

    def _outcome(self, test: TestSet, rows: Sequence[Row]) -> Outcome:
        own = test.benchmark
        return Outcome(
            task=own.name,
            dataset=own.title,
            protocol=f"{own.protocol.describe()}{f' {own.note[0].upper()}{own.note[1:]}.' if own.note else ''}",
            per_image=tuple(Measured(**row) for row in rows),
            weights=self.weights,
            sha256=checksum(find(self.weights)),
            steps=self.steps,
            seed=self.seed,
            instruction=f"{own.task}, {_WORDS[self.instruction]}",
            layout=test.pairs.layout,
            expected=own.count,
            standin=self.standin,
            subset=self.subset and own.count is not None and len(rows) != own.count,
            kind=self.instruction,
            published=None if own.aside and own.aside in test.pairs.layout else own.published,
        )
