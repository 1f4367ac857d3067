"""Trains what is not trained yet, each training in a process of its own; what was interrupted goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from rich import get_console

from defusion.evaluation.report import write_json
from defusion.study.plan import Training
from defusion.study.provenance import note_code

PROGRAM: tuple[str, ...] = (sys.executable, "-m", "defusion.cli", "train")
"""What a training's arguments are given to."""

State: TypeAlias = Literal["new", "interrupted", "changed", "trained", "occupied"]
"""Of a training: nothing that could be used, a checkpoint, what other settings trained, weights, files of others."""

_SETTINGS = "settings.json"
"""Written before anything else into the folder of a training."""
_LAST_LINES = 15
_SHOWN_DIFFERENCES = 3


class TrainingError(ValueError):
    """A training that failed, with the last lines of its log, or that other settings stand in the way of."""


def state_of(training: Training) -> State:
    """How far a training is."""
    is_trained = (training.weights / "config.json").is_file()  # which is written last
    if not is_trained and not (training.folder / "checkpoints" / "last.ckpt").is_file():
        names = os.listdir(training.folder) if training.folder.is_dir() else []
        return "new" if not names or _SETTINGS in names else "occupied"
    if _recorded(training) != training.settings():
        return "changed"
    return "trained" if is_trained else "interrupted"


def check(trainings: Iterable[Training]) -> None:
    """Refuses what cannot be trained, for other settings have trained something in its folder, which is kept.

    Raises:
        TrainingError: names the first such folder, what differs, and how to go on; or one that holds something else.
    """
    states = [(own, state_of(own)) for own in trainings]
    for own in (own for own, state in states if state == "occupied"):
        found = ", ".join(sorted(os.listdir(own.folder))[:_SHOWN_DIFFERENCES])
        raise TrainingError(
            f"{own.title}: {own.folder}: expected no such folder, an empty one or one of this training, got one with "
            f"{found}: give another folder with --runs"
        )
    changed = [own for own, state in states if state == "changed"]
    if changed:
        first, recorded = changed[0], _recorded(changed[0])
        if recorded is None:
            differs = f"its {_SETTINGS} is missing or damaged"
        else:
            differs = "; ".join(_differences(recorded, first.settings()))
        others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise TrainingError(
            f"{first.title}: {first.folder} was trained with other settings{others}: {differs}. Give the same again, "
            "or another folder with --runs; or remove this one, and all that is in it"
        )


def train(training: Training, program: Sequence[str] = PROGRAM) -> None:
    """Trains to the end, unless this was done with the same settings.

    An interrupted training goes on from its last checkpoint; what one left that never came to a checkpoint is removed,
    as are the checkpoints of a finished one.

    Args:
        training: what to train.
        program: what its arguments are given to.

    Raises:
        TrainingError: when other settings have trained something in its folder, see `check`; or when the process
            fails: shows the last lines of its log.
    """
    check([training])
    state = state_of(training)
    if state == "trained":
        return
    arguments = training.arguments
    if state == "interrupted":
        arguments += ["--ckpt_path", "last"]
        get_console().print(f"{training.title}: goes on from its last checkpoint")
    else:
        shutil.rmtree(training.folder, ignore_errors=True)
        write_json(training.folder / _SETTINGS, training.settings())
    note_code(training.folder)
    _run([*program, *arguments], training)
    if not (training.weights / "config.json").is_file():
        raise TrainingError(f"{training.title}: ended without weights\n{_end_of_log(training)}")
    shutil.rmtree(training.folder / "checkpoints", ignore_errors=True)


def _run(command: Sequence[str], training: Training) -> None:
    """Runs a process, its output to `log.txt`; ends it when this one is asked to end."""
    with (training.folder / "log.txt").open("ab") as log, _terminated_as_interrupt():
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code:
        raise TrainingError(
            f"{training.title}: failed with code {code}; mend the cause and start again, which goes on from here "
            f"(if a checkpoint is damaged, remove {training.folder})\n{_end_of_log(training)}"
        )


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that no training stays behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_of_log(training: Training) -> str:
    log = training.folder / "log.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"the last lines of {log}:", *(line.rstrip() for line in lines[-_LAST_LINES:])])


def _recorded(training: Training) -> dict[str, Any] | None:
    """The settings that the content of its folder was made with; None where they cannot be read."""
    try:
        found = json.loads((training.folder / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The first settings that differ: name, old and new value."""
    old, new = dict(_flat("", before)), dict(_flat("", now))
    names = [name for name in (*new, *(own for own in old if own not in new)) if old.get(name) != new.get(name)]
    shown = [f"{name} was {old.get(name)}, is {new.get(name)}" for name in names[:_SHOWN_DIFFERENCES]]
    return shown + ([f"and {len(names) - len(shown)} more"] if len(names) > len(shown) else [])


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Nested values by their joined names."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, own in parts:
            yield from _flat(f"{name}.{key}" if name else str(key), own)
    else:
        yield name, value
