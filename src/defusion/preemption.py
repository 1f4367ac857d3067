"""What a cluster does to a training: it is asked to leave, saves, and can go on later."""

import atexit
import multiprocessing.util  # which ends workers at exit by SIGTERM and waits for them; what is below comes before it
import os
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.environments import SLURMEnvironment
from rich import get_console

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Of schedulers that want their machine back."""
RESUMABLE = 75
"""Exit status of a training that was asked to leave and saved (EX_TEMPFAIL: try again later)."""


class Preemption(Checkpoint):
    """After SIGTERM or SIGUSR1 the step under way is finished, `last.ckpt` is written, and the process leaves with 75.

    It comes after all other callbacks, as checkpoints do, so that averages have seen the step that is saved. With
    several processes all leave at the same step, whichever was asked. Under SLURM the job is put back in the queue on
    the signal that Lightning's environment names, SIGUSR1 unless told otherwise: in its own way Lightning would save
    amid a step, and aside from `last.ckpt`.

    Args:
        every_n_steps: how often several processes ask each other; one process looks after every step.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self.every_n_steps = every_n_steps
        self._step = 0
        self._asked: list[signal.Signals] = []
        self._requeues: signal.Signals | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the place of Lightning's handlers, which it restores in the end."""
        self._step = trainer.global_step
        environment = trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment) and environment.auto_requeue:
            self._requeues = environment.requeue_signal
        for own in {*SIGNALS, self._requeues or signal.SIGUSR1}:
            signal.signal(own, self._note)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and leaves when any process was asked to; raises SystemExit with 75."""
        if trainer.global_step == self._step:
            return  # gradients of part of a step are not saved
        self._step = trainer.global_step
        if trainer.world_size > 1 and trainer.global_step % self.every_n_steps:
            return
        if not self._by_any(trainer, bool(self._asked)):
            return
        back = self._by_any(trainer, self._requeues in self._asked)
        is_saved, saved = _save(trainer)
        done = [saved, _requeue()] if back and is_saved and trainer.is_global_zero else [saved]
        if trainer.is_global_zero:
            get_console().print(
                f"asked to leave ({self._asked[0].name if self._asked else 'another process was'}) at step "
                f"{trainer.global_step}: {'; '.join(done)}; go on with the same command and --ckpt_path last",
                soft_wrap=True,
            )
        raise SystemExit(RESUMABLE)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._asked.append(signal.Signals(number))

    def _by_any(self, trainer: Trainer, yes: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(yes, all=False)


def _save(trainer: Trainer) -> tuple[bool, str]:
    """Writes the last checkpoint; whether it is written, and where, or why not."""
    file = last_checkpoint(trainer)
    if file is None:
        return False, "nothing is saved without ModelCheckpoint"
    before = file.stat().st_mtime_ns if file.exists() else None
    trainer.save_checkpoint(file)
    is_new = file.exists() and file.stat().st_mtime_ns != before
    return is_new, f"saved as {file}" if is_new else f"{file} could not be written and is as it was"


def _requeue() -> str:
    """Has SLURM put this job back in the queue; says whether it does."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}" if job else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        return f"SLURM does not put job {job} back in the queue: {str(reason).strip()}"
    return f"job {job} is back in the queue"


def last_checkpoint(trainer: Trainer) -> Path | None:
    """Where `--ckpt_path last` looks, whether a checkpoint is there or not; None without a ModelCheckpoint."""
    folders = [own.dirpath for own in trainer.checkpoint_callbacks if isinstance(own, ModelCheckpoint) and own.dirpath]
    return Path(folders[0]) / "last.ckpt" if folders else None


def leave_signals_to_the_parent(worker: int) -> None:
    """For data workers: a signal to the whole group must not kill them before the training has saved."""
    for own in SIGNALS:
        signal.signal(own, signal.SIG_IGN)


@atexit.register
def _end_workers() -> None:
    """Ends data workers that an error has left behind, which do not listen to SIGTERM."""
    workers = [own for own in multiprocessing.active_children() if own.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would make errors of it
    for worker in workers:
        worker.kill()
