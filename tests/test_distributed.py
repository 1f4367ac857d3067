"""Two processes train as one with twice the batch, and score each picture once."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from safetensors.torch import load_file

from defusion.checkpoints import read_checked
from defusion.distributed import of_all_processes
from tests.conftest import TINY_TOKENIZER, filled
from tests.data_modules.test_streams import write_parquet
from tests.unet.layouts import SD15, source

ROOT = Path(__file__).resolve().parents[1]
STEPS = 20
TOLERANCE = 1e-4
"""Relative, of losses in single precision: sums are taken in another order."""
SHARDED = "sharded"

TINY = [
    *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true", "--trainer.max_steps", str(STEPS)),
    *("--trainer.log_every_n_steps", "1", "--trainer.logger", "lightning.pytorch.loggers.CSVLogger"),
    *("--trainer.enable_model_summary", "false", "--data.init_args.workers", "0"),
    *("--data.init_args.crop_size", "32", "--data.init_args.steps_per_epoch", "10"),
    *("--data.init_args.validation_size", "32", "--data.init_args.validation_photos", "3"),
    *("--data.init_args.validation_tasks", "[rain, haze, noise]"),
    *("--data.init_args.synthesis.grounds", "8", "--data.init_args.synthesis.chart.size", "32"),
]


def fit(
    stage: str, folder: Path, processes: int, batch: int, *arguments: str, strategy: str = "ddp", size: str = "nano"
) -> dict[str, list[float]]:
    """Trains in a process of its own; column -> the values that were logged."""
    command = [sys.executable, *trains(stage, folder, batch, *arguments, size=size)]
    command += ["--trainer.devices", str(processes), "--trainer.strategy", strategy if processes > 1 else "auto"]
    done = subprocess.run(command, cwd=ROOT, env=alone(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return logged(folder)


def trains(stage: str, folder: Path, batch: int, *arguments: str, size: str = "nano") -> list[str]:
    """What Python is told to train, but for the processes."""
    return [
        *("-m", "defusion.cli", "train", "fit", "--config", "experiments/base.yaml"),
        *("--config", f"experiments/{stage}/{size}.yaml", *TINY, *arguments),
        *("--trainer.logger.init_args.save_dir", str(folder), "--trainer.default_root_dir", str(folder)),
        *("--data.init_args.batch_size", str(batch)),
    ]


def alone() -> dict[str, str]:
    """An environment of one thread, without GPUs."""
    return os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def logged(folder: Path) -> dict[str, list[float]]:
    """Column -> values."""
    (file,) = folder.rglob("metrics.csv")
    with file.open(newline="") as rows:
        table = list(csv.DictReader(rows))
    return {name: [float(row[name]) for row in table if row[name]] for name in table[0]}


def noise(seed: int) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    content = BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return content.getvalue()


def check(one: dict[str, list[float]], two: dict[str, list[float]], *names: str) -> None:
    for name in names:
        assert len(one[name]) >= 2, name
        assert two[name] == pytest.approx(one[name], rel=TOLERANCE), name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_a_tokenizer_as_one(tmp_path: Path) -> None:
    one = fit("tokenizer", tmp_path / "one", 1, 8, *SHAPE)
    two = fit("tokenizer", tmp_path / "two", 2, 4, *SHAPE)
    assert len(one["train/loss"]) == STEPS
    check(one, two, "train/loss", "val/psnr", "val/loss", "val/codebook_perplexity")


class Agreement(Callback):
    """Notes by how much the weights of two processes differ in the end, and the discriminator from its start."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.before = weights(pl_module, "discriminator.").clone()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = of_all_processes(weights(pl_module)[None])
        learnt = (weights(pl_module, "discriminator.") - self.before).abs().max()
        differences = [float((found[0] - found[1]).abs().max()), float(learnt)]
        if trainer.is_global_zero:
            Path(trainer.default_root_dir, "agreement.json").write_text(json.dumps(differences))


def weights(module: LightningModule, prefix: str = "") -> torch.Tensor:
    """All parameters whose names begin so, as one vector."""
    return torch.cat([own.detach().flatten() for name, own in module.named_parameters() if name.startswith(prefix)])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_one_discriminator(tmp_path: Path) -> None:
    """Which begins in the middle of the training: the same on both, to the bit, but for its batch norm's statistics."""
    own = "{channels: 8, layers: 1, weight: 0.1, start_step: 8}"
    callback = ["--trainer.callbacks+=tests.test_distributed.Agreement"]
    both = fit("tokenizer", tmp_path, 2, 4, *SHAPE, "--model.init_args.discriminator", own, *callback)
    assert len(both["train/discriminator"]) == STEPS - 8
    apart, learnt = json.loads((tmp_path / "agreement.json").read_text())
    assert apart == 0
    assert learnt > 1e-3


def unet(folder: Path) -> list[str]:
    """A small network, and a tokenizer for it that is written to the folder."""
    filled(TINY_TOKENIZER).save(folder / "tokenizer")
    own = "--model.init_args.model.unet"
    return [
        *("--model.init_args.tokenizer", str(folder / "tokenizer"), f"{own}.channels", "[16, 32]"),
        *(f"{own}.token_channels", "16", f"{own}.adapter_levels", "[1]", f"{own}.blocks", "1"),
    ]


SHAPE = [
    *("--model.init_args.config.ground_size", "32", "--model.init_args.config.channels", "[16, 16]"),
    *("--model.init_args.config.num_codes", "32", "--model.init_args.config.token_channels", "16"),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_go_on_with_a_stream(tmp_path: Path) -> None:
    """Two workers each, from a checkpoint in mid-epoch: the losses of an uninterrupted run to the last bit."""
    for number in range(6):
        write_parquet(tmp_path / "set" / f"train-{number}.parquet", [noise(10 * number + own) for own in range(10)])
    write_parquet(tmp_path / "set" / "validation-0.parquet", [noise(99)])
    saving = {"save_last": True, "every_n_train_steps": 8, "enable_version_counter": False}
    callbacks = [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": saving}]
    (tmp_path / "saving.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    stream = [
        *(
            *unet(tmp_path),
            "--config",
            str(tmp_path / "saving.yaml"),
            "--data.init_args.data",
            f"stream:{tmp_path / 'set'}",
        ),
        *("--trainer.max_steps", "16", "--data.init_args.workers", "2", "--trainer.limit_val_batches", "0"),
    ]
    whole = fit("diffusion", tmp_path / "whole", 2, 4, *stream)
    (middle,) = (tmp_path / "whole").rglob("last.ckpt.before")
    resumed = fit("diffusion", tmp_path / "resumed", 2, 4, *stream, "--ckpt_path", str(middle))
    assert len(whole["train/loss"]) == 16
    assert resumed["train/loss"] == whole["train/loss"][8:]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_a_diffusion_as_one(tmp_path: Path) -> None:
    """And so does one that accumulates the gradients of two batches."""
    shape = unet(tmp_path)
    one = fit("diffusion", tmp_path / "one", 1, 8, *shape)
    two = fit("diffusion", tmp_path / "two", 2, 4, *shape)
    assert len(one["train/loss"]) == STEPS
    check(one, two, "train/loss", "val/psnr_gain", "val/rain/psnr", "val/haze/ssim")
    half = ["--trainer.accumulate_grad_batches", "2", "--data.init_args.steps_per_epoch", "20"]
    accumulated = fit("diffusion", tmp_path / "accumulated", 1, 4, *shape, *half)
    check(one, accumulated, "val/psnr_gain", "val/rain/psnr")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("strategy", ["ddp", SHARDED])
def test_two_nodes_train_a_diffusion_as_one(tmp_path: Path, strategy: str) -> None:
    """By torchrun, once a node, which are both this machine."""
    shape = [*unet(tmp_path), "--model.init_args.optimizer", "adamw"]
    one = fit("diffusion", tmp_path / "one", 1, 8, *shape)
    port = free_port()
    nodes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"),
                *("--node-rank", rank, "--master-addr", "127.0.0.1", "--master-port", str(port)),
                *trains("diffusion", tmp_path / "two", 4, *shape),
                *("--trainer.devices", "1", "--trainer.num_nodes", "2", "--trainer.strategy", strategy),
            ],
            cwd=ROOT,
            env=alone(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        said = [own.communicate(timeout=200)[0] for own in nodes]
    finally:
        for own in nodes:
            own.kill()
    assert [own.returncode for own in nodes] == [0, 0], said
    check(one, logged(tmp_path / "two"), "train/loss", "val/psnr_gain", "val/rain/psnr")


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_that_share_the_weights_out_train_as_one(tmp_path: Path) -> None:
    """Their average, validation, checkpoints and weights too; either goes on from a checkpoint of the other."""
    saving = {"save_last": True, "every_n_train_steps": 10, "enable_version_counter": False}
    callbacks = [
        {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": saving},
        {"class_path": "defusion.averaging.ExponentialMovingAverage", "init_args": {"decay": 0.9}},
        {"class_path": "defusion.evaluation.callback.TaskMetricsCallback"},
        {"class_path": "defusion.guard.NonFiniteGuard"},
    ]
    (tmp_path / "saving.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    shape = [*unet(tmp_path), "--model.init_args.optimizer", "adamw", "--config", str(tmp_path / "saving.yaml")]
    one = fit("diffusion", tmp_path / "one", 1, 8, *shape)
    two = fit("diffusion", tmp_path / "two", 2, 4, *shape, strategy=SHARDED)
    assert len(one["train/loss"]) == STEPS
    check(one, two, "train/loss", "train/gradient_norm", "val/psnr_gain", "val/rain/psnr")
    middle = {}
    for name in ("one", "two"):
        (file,) = (tmp_path / name).rglob("last.ckpt.before")
        middle[name] = file
    alike(read_checked(middle["one"]), read_checked(middle["two"]))
    weights = [load_file(tmp_path / name / "weights" / "defusion.safetensors") for name in ("one", "two")]
    alike(weights[0], weights[1], tolerance=2e-3)
    resumed = fit("diffusion", tmp_path / "resumed", 2, 4, *shape, "--ckpt_path", str(middle["two"]), strategy=SHARDED)
    assert resumed["train/loss"] == two["train/loss"][10:]
    assert resumed["val/psnr_gain"][-1:] == two["val/psnr_gain"][-1:]
    alone = fit("diffusion", tmp_path / "alone", 1, 8, *shape, "--ckpt_path", str(middle["two"]))
    assert alone["train/loss"] == pytest.approx(one["train/loss"][10:], rel=TOLERANCE)
    shared = fit("diffusion", tmp_path / "shared", 2, 4, *shape, "--ckpt_path", str(middle["one"]), strategy=SHARDED)
    assert shared["train/loss"] == pytest.approx(one["train/loss"][10:], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("trained", ["adapters", "all"])
def test_two_processes_share_a_text_to_image_network_out(tmp_path: Path, trained: str) -> None:
    """The layout of Stable Diffusion, narrowed, in its latent space; validated in ten steps of noise."""
    pytest.importorskip("diffusers", reason="needs defusion[pretrained]")
    folder = str(source(SD15, tmp_path / "source"))
    filled(TINY_TOKENIZER).save(tmp_path / "tokenizer")
    unet = {"source": folder, "token_channels": TINY_TOKENIZER.token_channels, "patch": 8, "trained": trained}
    model = {"unet": unet, "autoencoder": {"source": folder}, "prompt": ""}
    own = {"init_args": {"tokenizer": str(tmp_path / "tokenizer"), "model": model, "warmup_steps": 2}}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({"model": own, "data": {"init_args": {"crop_size": 64, "validation_size": 64}}}))
    one, two = (
        fit("diffusion", tmp_path / str(n), n, 4 // n, "--config", str(file), strategy=SHARDED, size="sd15")
        for n in (1, 2)
    )
    assert len(one["train/loss"]) == STEPS
    check(one, two, "train/loss", "train/gradient_norm", "val/psnr_gain", "val/rain/psnr", "val/autoencoder_psnr")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_of_a_job_leave_together_when_one_is_asked(tmp_path: Path) -> None:
    """Under SLURM's variables: at one step, with one checkpoint and one `scontrol requeue`."""
    told, script, base = tmp_path / "told", tmp_path / "bin" / "scontrol", tmp_path / "base.yaml"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    script.chmod(0o755)
    shared = (ROOT / "experiments/base.yaml").read_text()
    base.write_text(shared.replace("every_n_train_steps: 200", "every_n_train_steps: 5"))
    command = [
        *(sys.executable, "-m", "defusion.cli", "train", "fit", "--config", str(base)),
        *("--config", "experiments/tokenizer/nano.yaml", *TINY, *SHAPE, "--trainer.max_steps", "4000"),
        *("--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.default_root_dir", str(tmp_path / "run")),
        *("--trainer.logger.init_args.save_dir", str(tmp_path), "--trainer.limit_val_batches", "0"),
        *("--data.init_args.batch_size", "2", "--ckpt_path", "last"),
    ]
    job = {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "2", "NTASKS_PER_NODE": "2", "NODEID": "0", "NNODES": "1"}
    environment = alone() | {f"SLURM_{name}": value for name, value in job.items()}
    environment["MASTER_ADDR"] = "127.0.0.1"
    environment["PATH"] = f"{script.parent}:{environment['PATH']}"
    ranks = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    ]
    deadline = time.monotonic() + 200
    try:
        while not list(tmp_path.rglob("last.ckpt")) and time.monotonic() < deadline:
            assert all(own.poll() is None for own in ranks), ranks[0].communicate()[0]
            time.sleep(0.05)
        ranks[1].send_signal(signal.SIGUSR1)
        said = [own.communicate(timeout=60)[0] for own in ranks]
    finally:
        for own in ranks:
            own.kill()
    assert [own.returncode for own in ranks] == [75, 75], said
    assert told.read_text() == "requeue 7\n"
    (last,) = tmp_path.rglob("last.ckpt")
    step = read_checked(last)["global_step"]
    assert step % 10 == 0
    assert f"at step {step}" in " ".join(said[0].split())


def alike(one: Any, two: Any, tolerance: float = 1e-4, place: str = "") -> None:
    """Whether two trees of values hold the same, tensors nearly."""
    if isinstance(one, torch.Tensor):
        assert torch.allclose(one, two, rtol=tolerance, atol=tolerance), place
    elif isinstance(one, Mapping):
        assert one.keys() == two.keys(), place
        for key, own in one.items():
            alike(own, two[key], tolerance, f"{place}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), place
        for number, (first, second) in enumerate(zip(one, two, strict=True)):
            alike(first, second, tolerance, f"{place}/{number}")
