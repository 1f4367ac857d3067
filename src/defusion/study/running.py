"""Carries the study out: trains and measures what is not done yet; peers in the time that the reference takes."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich import box
from rich.progress import Progress
from rich.table import Table

from defusion.evaluation.metrics import Perceptual
from defusion.evaluation.testset import PairSource
from defusion.study.claims import REFERENCE, differs
from defusion.study.measuring import is_measured, measure
from defusion.study.plan import Run, Study, Training
from defusion.study.progress import Job, carry_out
from defusion.study.scores import Scores
from defusion.study.timing import Record
from defusion.study.training import PROGRAM, check, state_of, train
from defusion.study.ways import Way, ways_of

SECONDS_A_STEP = 0.2
"""Of training, on two CPU cores; what is expected until a run is finished."""

SECONDS_AN_EVALUATION = 0.05
"""Of the network on a photograph, likewise."""


@dataclass(frozen=True)
class Runner:
    """Does what a study plans.

    Attributes:
        study: its trainings.
        photographs: to measure on: their references are the clean pictures.
        perceptual: LPIPS; None leaves it out.
        program: what trains.

    Raises:
        ValueError: without photographs, or where two have one name.
    """

    study: Study
    photographs: PairSource
    perceptual: Perceptual | None = None
    program: Sequence[str] = PROGRAM

    def __post_init__(self) -> None:
        names = list(self.photographs.names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ValueError(
                "photographs: expected at least one to measure on, each with a name of its own, got "
                f"{'two or more named ' + ', '.join(twice) if twice else 'none'}; rename or add some"
            )

    def ablation(self, only: Collection[str] = ()) -> list[Run]:
        """The runs of the method and its variants; see `Study.variants`."""
        return self.study.runs(self.study.variants(only))

    def peers(self, only: Collection[str] = ()) -> list[Run]:
        """The runs of the reference and its peers, each peer with the steps that fit the reference's time.

        The time of a step is taken for all, one after the other, before any of them is trained; the tokenizer, which
        serves all variants, is not counted: its own seconds stand beside those of the method in the scores.
        """
        self.check(self.planned_peers(only))
        if not self._is_timed:
            timings = list(self._timings.values())
            for own in timings:
                shutil.rmtree(own.folder, ignore_errors=True)  # what is compared is timed in one go
            carry_out([self._training_job(own) for own in (*_tokenizers(timings), *timings)])
        return self.planned_peers(only)

    def planned_peers(self, only: Collection[str] = ()) -> list[Run]:
        """As `peers`, but takes no time: all have the reference's steps where their time is not known yet."""
        variants = (*self.study.variants((REFERENCE,)), *self.study.peers(only))
        return self.study.runs(variants, self._matched_steps() if self._is_timed else None)

    def check(self, runs: Sequence[Run]) -> None:
        """Refuses runs in whose folders, or those of what they need, other settings have trained something.

        Raises:
            TrainingError: names the folder, what differs, and how to go on.
        """
        timings = list(self._timings.values()) if any(run.variant.peer for run in runs) else []
        trainings = [run.training for run in runs if self._is_timed or not run.variant.peer]  # else of unknown steps
        check([*_tokenizers([*trainings, *timings]), *timings, *trainings])

    def do(self, runs: Sequence[Run]) -> None:
        """Trains and measures those runs that are not done; see `check`."""
        self.check(runs)
        left = [run for run in runs if not self.is_done(run)]
        jobs = [*map(self._training_job, _tokenizers([run.training for run in left])), *map(self._job, left)]
        carry_out(jobs, len(runs) - len(left), self._pace(runs))

    def scores(self) -> list[Scores]:
        """Of all runs of the study that are done, those of the peers too."""
        return [Scores.read(run.scores) for run in self._all if self.is_done(run)]

    def unfinished(self) -> list[Run]:
        """Runs that are not done, of variants of which another seed is: there are fewer scores of these."""
        states = [(run, self.is_done(run)) for run in self._all]
        begun = {run.variant.name for run, done in states if done}
        return [run for run, done in states if not done and run.variant.name in begun]

    def is_done(self, run: Run) -> bool:
        """Whether it is trained and measured."""
        trained = state_of(run.training) == "trained"
        return trained and is_measured(run, self.photographs, self.perceptual)

    def table(self, runs: Sequence[Run]) -> Table:
        """A row a variant: what differs in it, the steps, and how far each seed is; below it the hours left."""
        left = [run for run in runs if not self.is_done(run)]
        seconds = sum(map(self._seconds, left))
        seconds += sum(own.steps * SECONDS_A_STEP for own in _tokenizers([run.training for run in left]))
        hours = self._pace(runs) * seconds / 3600
        caption = f"{len(runs) - len(left)} of {len(runs)} runs are done; the others take about {hours:.1f} hours"
        timed = self._is_timed
        table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
        for head in ("variant", "what differs", "steps", *(f"seed {seed}" for seed in range(self.study.seeds))):
            table.add_column(head, justify="right" if head == "steps" else "left")
        for name in dict.fromkeys(run.variant.name for run in runs):
            own = [run for run in runs if run.variant.name == name]
            states = ("done" if self.is_done(run) else state_of(run.training) for run in own)
            known = timed or not own[0].variant.peer
            table.add_row(name, differs(name), f"{own[0].training.steps:,}" if known else "to be timed", *states)
        return table

    @property
    def _all(self) -> list[Run]:
        return list({run.training.folder: run for run in (*self.ablation(), *self.planned_peers())}.values())

    @property
    def _timings(self) -> dict[str, Training]:
        """Of the reference and all its peers, by name."""
        variants = (*self.study.variants((REFERENCE,)), *self.study.peers())
        return {own.name: self.study.timing(own) for own in variants}

    @property
    def _is_timed(self) -> bool:
        return all(state_of(own) == "trained" for own in self._timings.values())

    def _matched_steps(self) -> dict[str, int]:
        """The steps of each variant that take the time of the study's steps of the reference."""
        seconds = {name: Record.read(own.folder).step for name, own in self._timings.items()}
        return {name: max(1, round(self.study.steps * seconds[REFERENCE] / own)) for name, own in seconds.items()}

    def _training_job(self, training: Training) -> Job:
        return Job(training.title, training.steps * SECONDS_A_STEP, lambda _: train(training, self.program))

    def _job(self, run: Run) -> Job:
        def work(bar: Progress) -> None:
            train(run.training, self.program)

            def watch(ways: Sequence[Way]) -> Iterator[Way]:
                own = bar.add_task("measuring", total=len(ways))
                for way in ways:
                    yield way
                    bar.advance(own)
                bar.remove_task(own)

            measure(run, self.photographs, self.perceptual, watch)

        return Job(run.training.title, self._seconds(run), work)

    def _seconds(self, run: Run) -> float:
        """What a run is expected to take from the beginning; peers are trained for the reference's time."""
        evaluations = sum(way.steps * len(way.tasks) for way in ways_of(run)) * len(self.photographs)
        return self.study.steps * SECONDS_A_STEP + evaluations * SECONDS_AN_EVALUATION

    def _pace(self, runs: Sequence[Run]) -> float:
        """Seconds of training of the finished runs for one that was expected; 1 before any is finished."""
        done = [Scores.read(run.scores).train_seconds for run in runs if self.is_done(run)]
        return fmean(done) / (self.study.steps * SECONDS_A_STEP) if done else 1.0


def _tokenizers(trainings: Sequence[Training]) -> list[Training]:
    """The tokenizers that these need and that are not trained yet, each once."""
    needed = {own.tokenizer.folder: own.tokenizer for own in trainings if own.tokenizer is not None}
    return [own for own in needed.values() if state_of(own) != "trained"]
