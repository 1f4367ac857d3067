"""Evaluation: the pictures of a test set restored and scored one by one."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from defusion.describer.description import Description
from defusion.evaluation.metrics import Perceptual
from defusion.evaluation.testset import Sample, TestSet
from defusion.imageio import write_png
from defusion.instruction import VisualInstruction
from defusion.ledger import Row
from defusion.restore.restorer import Restorer


@dataclass(frozen=True)
class Evaluator:
    """Restores and scores samples.

    Attributes:
        restorer: the model.
        instruct: what each sample is shown.
        steps: sampling steps.
        seed: of the diffusion noise, the same for every picture.
        perceptual: LPIPS, for the protocols that ask for it; None leaves it out.
        save: folder for the restored pictures as PNG; None for none.
    """

    restorer: Restorer
    instruct: Callable[[Sample], VisualInstruction]
    steps: int
    seed: int = 0
    perceptual: Perceptual | None = None
    save: Path | None = None

    def run(self, test: TestSet, numbers: Sequence[int], keep: Callable[[Row], None]) -> None:
        """Scores the samples of these numbers, and hands each one's record on as soon as it is there.

        A GPU restores while the next picture is decoded and the last one scored; on a CPU, where all three want
        the same cores, they take turns.
        """
        if self.restorer.device.type == "cpu":
            for number in numbers:
                sample = test[number]
                keep(self._score(test, sample, *self._timed(sample)))
            return
        with ThreadPoolExecutor(1) as decoder, ThreadPoolExecutor(1) as scorer:
            scored: Future[Row] | None = None
            for sample in _ahead(decoder, test, numbers):
                restored, seconds, shown = self._timed(sample)
                if scored is not None:
                    keep(scored.result())
                scored = scorer.submit(self._score, test, sample, restored, seconds, shown)
            if scored is not None:
                keep(scored.result())

    def restore(self, sample: Sample) -> Tensor:
        """The restored picture, (3, H, W) in [0, 1]."""
        return self._timed(sample)[0]

    def _timed(self, sample: Sample) -> tuple[Tensor, float, VisualInstruction]:
        """The restored picture, the seconds that the model took for it, and what it was shown."""
        begun = time.perf_counter()
        shown = self.instruct(sample)
        start = begun if isinstance(shown, Description) else time.perf_counter()  # to describe is the model's work
        restored = self.restorer(sample.lq, shown, steps=self.steps, seed=self.seed, tile=0).image
        return restored, time.perf_counter() - start, shown

    def _score(self, test: TestSet, sample: Sample, restored: Tensor, seconds: float, shown: VisualInstruction) -> Row:
        score = test.benchmark.protocol.scores
        row: Row = {"name": sample.name}
        for side, picture in (("input", sample.lq), ("restored", restored)):
            scores = score(picture[None], sample.hq[None], self.perceptual, [f"{sample.name} ({side})"])
            row[side] = {name: float(value) for name, value in scores.items()}
        if self.save is not None:
            write_png(self.save / f"{sample.name}.png", restored)
        if isinstance(shown, Description):
            true = set(sample.shown.split("+"))
            row |= {"shown": shown.shown, "named": set(shown.shown.split("+")) == true, "surest": shown.surest in true}
        return row | {"seconds": round(seconds, 4)}


def _ahead(pool: ThreadPoolExecutor, test: TestSet, numbers: Sequence[int]) -> Iterator[Sample]:
    """The samples in order, each decoded while the one before it is in use."""
    waiting = pool.submit(test.__getitem__, numbers[0]) if numbers else None
    for following in (*numbers[1:], None):
        if waiting is None:
            return
        sample = waiting.result()
        waiting = pool.submit(test.__getitem__, following) if following is not None else None
        yield sample
