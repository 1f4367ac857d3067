"""Runs that were never trained: folders as a training leaves them, and a program in the place of the training."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from defusion.evaluation.report import write_json
from defusion.study.plan import Study, Training
from tests.test_experiments import EXPERIMENTS

_PROGRAM = """
import json, pathlib, sys
here, arguments = pathlib.Path(__file__).parent, sys.argv[1:]
folder = pathlib.Path(arguments[arguments.index("--trainer.default_root_dir") + 1])
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
print("\\n".join(f"line {number}" for number in range(40)))
if (here / "fails").exists():
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    print("out of luck", file=sys.stderr)
    sys.exit(3)
(folder / "weights").mkdir()
(folder / "weights" / "config.json").write_text("{}")
"""


def study(folder: Path, data: str | None = None, steps: int = 100, seeds: int = 2) -> Study:
    """Of the project's experiments, in a folder of its own."""
    return Study(data, steps, seeds, EXPERIMENTS, folder / "runs")


def program(folder: Path) -> Sequence[str]:
    """Trains nothing: it writes weights that are none, or fails after a checkpoint while there is a file `fails`."""
    script = folder / "program.py"
    script.write_text(_PROGRAM)
    return (sys.executable, str(script))


def calls(folder: Path) -> list[list[str]]:
    """The arguments of each call of `program`."""
    file = folder / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def finish(training: Training, step: float = 0.5) -> None:
    """What a training leaves when it is done, each of its steps having taken so many seconds."""
    write_json(training.folder / "settings.json", training.settings())
    write_json(training.weights / "config.json", {})
    log(training.folder, training.steps, step)


def log(folder: Path, steps: int, step: float) -> None:
    """Events of a training: the time every twentieth step and at the end, four validations."""
    with SummaryWriter(str(folder)) as writer:
        for number in (*range(19, steps, 20), steps - 1):
            writer.add_scalar("train/seconds", 3 + step * (number + 1), number)
        for part in range(1, 5):
            number = steps * part // 4 - 1
            writer.add_scalar("val/seconds", 3 + step * (number + 1), number)
            writer.add_scalar("val/psnr_gain", float(part), number)
