"""Commands that evaluate: `eval` and `tasks`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import get_console
from torch import Tensor

from data_modules.benchmark import PairSetError
from defusion.cli.options import WEIGHTS, Json, Seed, Steps, Weights, check_file
from defusion.cli.request import Request
from defusion.evaluation.benchmarks import Benchmark
from defusion.evaluation.outcome import Outcome
from defusion.evaluation.page import write_page
from defusion.evaluation.report import write_json, write_text
from defusion.evaluation.tables import csv, markdown, overview
from defusion.evaluation.tasks import (
    MissingDataError,
    degradation,
    explain,
    find_tasks,
    is_synthetic,
    listing,
    missing,
    stand_in,
)
from defusion.evaluation.testset import TestSet
from defusion.instruction import InstructionKind
from defusion.layouts import find_root, is_named
from defusion.restore.restorer import AUTO, Restorer


def evaluate(
    task: Annotated[str, typer.Option(help="A test set, a group, or a degradation; `defusion tasks` lists them.")],
    data: Annotated[str | None, typer.Option(help="The set's folder, or a folder of sets, or a data set.")] = None,
    weights: Weights = WEIGHTS,
    steps: Steps = 1,
    seed: Seed = 0,
    instruction: Annotated[
        InstructionKind,
        typer.Option(
            help="parameter-matched: with the very parameters of each input that is made here; "
            "oracle: fitted to each picture and its reference; auto: what the model itself sees in it."
        ),
    ] = "type-matched",
    severity: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of a synthetic degradation; the instruction shows mid severity.")
    ] = None,
    standin: Annotated[bool, typer.Option(help="A synthetic stand-in on clean pictures.")] = False,
    subset: Annotated[bool, typer.Option(help="Evaluate a part of the test set on purpose.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes, each on a device of its own.")] = 1,
    lpips: Annotated[Path | None, typer.Option(help="Torchvision's AlexNet weights: adds LPIPS.")] = None,
    json: Json = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Write the scores of each picture as CSV.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the tables as Markdown.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page with the worst and best pictures.")] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for the restored pictures.")] = None,
) -> None:
    """Restore and score the pictures of a task, or of a group of them, each by its protocol."""
    data = data or None
    for option, file in (("--json", json), ("--csv", table), ("--markdown", markdown_file)):
        check_file(option, file)
    check_file("--page", page, ".html", ".htm")
    chosen = find_tasks(task)
    if standin:
        chosen = tuple(own if is_synthetic(own) else stand_in(own) for own in chosen)
    if severity is not None:
        chosen = tuple(_at(own, severity) for own in chosen)
    absent = () if len(chosen) == 1 else tuple(own for own in chosen if not _is_there(own, data))
    requests = [
        Request(own, data, weights, steps, seed, instruction, standin, subset, lpips, save)
        for own in chosen
        if own not in absent
    ]
    if not requests:
        raise MissingDataError(
            f"task {task}: none of its test sets was found in {data or 'no data: give DATA=DIR'}\n{missing(absent)}"
        )
    restorer = Restorer.from_pretrained(weights)
    if instruction == AUTO:
        restorer.check(AUTO)
    tests = _opened(requests)
    evaluators = [request.evaluator(restorer) for request in requests]
    ledgers = [request.ledger(test) for request, test in zip(requests, tests, strict=True)]
    outcomes = [
        request.run(test, evaluator, ledger, devices)
        for request, test, evaluator, ledger in zip(requests, tests, evaluators, ledgers, strict=True)
    ]
    console = get_console()
    console.print(overview(outcomes))
    if absent:
        console.print(missing(absent), highlight=False)
    results: list[Any] = [outcome.as_json() for outcome in outcomes]
    if json is not None:
        write_json(json, results[0] if len(chosen) == 1 else {"results": results, "missing": [a.name for a in absent]})
    for file, text in ((table, csv), (markdown_file, markdown)):
        if file is not None:
            write_text(file, text(outcomes))
    if page is not None:

        def pictures(outcome: Outcome, number: int) -> tuple[Tensor, Tensor, Tensor]:
            place = outcomes.index(outcome)
            sample = tests[place][number]
            return sample.lq, evaluators[place].restore(sample), sample.hq

        write_page(page, outcomes, pictures)
    for ledger in ledgers:  # only now is everything written
        ledger.close()


def tasks(
    name: Annotated[str, typer.Argument(help="A test set: its layout, source and protocol; a group: its sets.")] = "",
) -> None:
    """List the test sets and groups, those of a group, or explain one."""
    console = get_console()
    found = find_tasks(name) if name else ()
    if len(found) == 1:
        console.print(explain(found[0], "what it is"), highlight=False, markup=False)
    else:
        console.print(listing(found))


def _opened(requests: Sequence[Request]) -> list[TestSet]:
    """All test sets, checked before the first picture is restored; what is wrong with any of them is said at once."""
    tests, errors = [], []
    for request in requests:
        try:
            tests.append(request.open())
        except ValueError as error:
            errors.append(str(error))
    if errors:
        raise PairSetError("\n".join(errors))
    return tests


def _at(benchmark: Benchmark, severity: float) -> Benchmark:
    """A synthetic test at another severity."""
    if not is_synthetic(benchmark):
        raise ValueError(
            f"--severity: expected a degradation of clean pictures, got the test set {benchmark.name}, whose strength "
            "is its own; leave --severity out, or add --standin"
        )
    at = degradation(benchmark.task, severity)
    return replace(
        benchmark, title=benchmark.title.replace(degradation(benchmark.task).title, at.title), synthesis=at.synthesis
    )


def _is_there(benchmark: Benchmark, data: str | None) -> bool:
    """Whether a folder of the benchmark's name is in `data`, or is `data`; synthetic ones need none."""
    if is_synthetic(benchmark):
        return True
    if data is None or not Path(data).is_dir():
        return False
    return find_root(Path(data), benchmark.folders) != Path(data) or is_named(Path(data), benchmark.folders)
