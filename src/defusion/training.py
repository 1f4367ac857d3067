"""Training from the command line: LightningCLI, where constructors are the schema of the YAML files."""

import logging
import math
import os
import re
import traceback
import warnings
from argparse import ArgumentError
from pathlib import Path
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich import get_console
from torch import multiprocessing

from defusion.checkpoints import CheckpointError, SafeCheckpointIO
from defusion.diffusion.module import DiffusionModule
from defusion.estimate import estimate
from defusion.files import full_disk
from defusion.guard import DivergedError
from defusion.logs import RunLogger
from defusion.precision import default_device, has_bf16
from defusion.sharding import Sharded

_KNOWN_WARNINGS = (
    ".*LeafSpec.*deprecated",  # Lightning 2.6 with torch's newer pytree
    ".*not supported by the model summary",  # the size in MB of bf16 models
    ".*module.s. in eval mode",  # the frozen tokenizer
    ".*LightningCLI's args parameter",  # see below
    ".*your dataloader is not resumable",  # it is: its sampler goes on from the count of samples
    ".*IterableDataset. has .__len__. defined",  # ours is, by worker
    ".*does not have many workers",  # photographs are in memory: one worker keeps up
    ".*ModelCheckpoint.{0,2} with manual optimization",  # it saves after the step, as it should
    ".*there is no last checkpoint available",  # said below, in our words
)


_KEY = re.compile(r'Parser key "([^"]+)": ?')
_AROUND = re.compile(
    "Does not validate against|Subtypes: |Errors:$|Problem with given class_path|Given value type: |"
    "Given value: (Namespace|NestedArg)|Expected a <class 'NoneType'>$"
)
"""Lines of jsonargparse around what was wrong."""


class TrainingCLI(LightningCLI):
    """One run: `experiments/base.yaml` and one flat YAML of what differs.

    Everything goes to `trainer.default_root_dir`: TensorBoard logs, `checkpoints/` for `--ckpt_path
    last`, and, when training ends, `weights/` for inference.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """`--dry_run true`: open and check all data, take one step, write nothing."""
        parser.add_argument("--dry_run", type=bool, default=False, help="Check all data, take one step, write nothing.")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """bf16 where the hardware has it, and one folder a run, unless the configuration says otherwise."""
        settings = self._get(self.config, "trainer")
        if self._get(self.config, "dry_run"):
            callbacks = self._get(self.config_init, "trainer")["callbacks"] or []
            kept = [own for own in callbacks if not isinstance(own, Checkpoint)]  # which write at the end all the same
            kwargs |= {"fast_dev_run": True, "enable_checkpointing": False, "callbacks": kept}
        if settings["precision"] is None:
            kwargs["precision"] = "bf16-mixed" if has_bf16(default_device()) else "32-true"
        if settings["plugins"] is None:
            kwargs["plugins"] = [SafeCheckpointIO()]
        if settings["logger"] is None:
            kwargs["logger"] = RunLogger(settings["default_root_dir"] or "runs", name="", version="")
        return super().instantiate_trainer(**kwargs)

    def _check(self) -> None:
        """Refuses options that do not go together."""
        if isinstance(self.trainer.strategy, Sharded) and not isinstance(self.model, DiffusionModule):
            raise ValueError("trainer.strategy: sharded is for the diffusion, whose networks can be large: take ddp")
        accumulated = self.trainer.accumulate_grad_batches
        if accumulated == 1:
            return
        if not self.model.automatic_optimization:
            raise ValueError(
                "trainer.accumulate_grad_batches: expected 1, for a tokenizer steps two optimisers by hand: give a "
                "larger data.batch_size, or several devices"
            )
        data: Any = self.datamodule
        if data.steps_per_epoch % accumulated:
            raise ValueError(
                f"trainer.accumulate_grad_batches: expected a divisor of data.steps_per_epoch {data.steps_per_epoch}, "
                f"or the last step of an epoch would be smaller, got {accumulated}"
            )

    def before_fit(self) -> None:
        """Says whether the training begins, and what that of a diffusion will cost, also before a dry run."""
        self._check()
        if not self.trainer.is_global_zero:
            return
        root = Path(self.trainer.default_root_dir)
        if self._get(self.config, "ckpt_path") == "last" and not any(root.rglob("last.ckpt")):
            print(f"no checkpoint in {root} yet: the training begins")
        if isinstance(self.model, DiffusionModule):
            data: Any = self.datamodule
            planned = self._get(self.config, "trainer") if self._get(self.config, "dry_run") else self.trainer
            cost = estimate(
                self.model.model.config,
                data.crop_size,
                data.batch_size,
                planned_steps(planned, data.steps_per_epoch),
                self.trainer.strategy.root_device,
                self.trainer.world_size,
                self.trainer.accumulate_grad_batches,
                isinstance(self.trainer.strategy, Sharded),
            )
            get_console().print(cost.table())

    def after_fit(self) -> None:
        """Writes the weights for inference, EMA where it is on."""
        if self._get(self.config, "dry_run"):
            print("dry run: all data are there, and one step was taken; nothing was written")
            return
        dry = self._get(self.config, "trainer")["fast_dev_run"]
        if not dry and not self.trainer.interrupted:
            folder = Path(self.trainer.default_root_dir) / "weights"
            self.model.save_weights(folder)
            if self.trainer.is_global_zero:
                print(f"weights: {folder}")


def planned_steps(trainer: Any, batches_per_epoch: int) -> float:
    """Optimiser steps of the whole training, by a Trainer or the arguments of one; infinite without an end."""
    limits = [float(trainer.max_steps)] if trainer.max_steps > 0 else []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        limits.append(trainer.max_epochs * math.ceil(batches_per_epoch / trainer.accumulate_grad_batches))
    return min(limits, default=math.inf)


def train(arguments: list[str]) -> None:
    """Runs LightningCLI: `fit --config base.yaml --config run.yaml [--trainer.max_steps 100 ...]`.

    Raises:
        ValueError: what stopped the training and can be mended, in one line.
    """
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of Lightning's use of it
    for message in _KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    try:
        _run(arguments)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        raise ValueError(line) from error


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage()


def explained(error: Exception) -> str | None:
    """What stopped a training in one line, where it can be mended; None where it is a fault of ours."""
    text = str(error)
    if isinstance(error, CheckpointError | DivergedError | MisconfigurationException):
        return " ".join(text.split())
    if isinstance(error, ArgumentError) or _AROUND.match(text):
        return _wrong_argument(text)
    full = full_disk(error)
    if full is not None:
        return f"{full}: free some space, then go on with --ckpt_path last"
    if text.startswith("Caught ") and isinstance(error, OSError | ValueError):  # in a data worker, with its traceback
        return text.strip().splitlines()[-1].partition(": ")[2] or None
    died = text.startswith("DataLoader worker") and ("killed by signal" in text or "exited unexpectedly" in text)
    if died or _lost_a_batch(error):
        what = text.splitlines()[0].rstrip(". ") if died else "DataLoader worker gone while it handed over a batch"
        return (
            f"{what}: the system ended it, mostly for want of memory: give fewer --data.workers, "
            "then go on with --ckpt_path last"
        )
    return None


def _wrong_argument(text: str) -> str:
    """What jsonargparse says over many lines, in one: the argument, and what was wrong with it."""
    keys, said = [], []
    for line in text.splitlines():
        own = line.strip().removeprefix("- ")
        keys += _KEY.findall(own)
        own = _KEY.sub("", own)
        if own and not _AROUND.match(own):
            said.append(own)
    said = [own for own in said if "got an unexpected keyword argument" not in own] or said  # of other types of a union
    return ": ".join(part for part in (".".join(keys), "; ".join(said)) if part)


def _lost_a_batch(error: Exception) -> bool:
    """Whether a batch was on its way from a data worker when the connection to that worker broke."""
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    return isinstance(error, EOFError | ConnectionError) and multiprocessing.reductions.__file__ in files


def _run(arguments: list[str]) -> None:
    # The arguments of this process stay as they are: with several devices Lightning starts it again by them.
    TrainingCLI(
        LightningModule,
        LightningDataModule,
        args=arguments,
        parser_kwargs={"prog": "defusion train", "allow_abbrev": False, "exit_on_error": False},
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
    )
