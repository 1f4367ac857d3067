"""A training that is killed goes on where its last checkpoint stands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from tests.conftest import filled
from tests.diffusion.test_module import module

ROOT = Path(__file__).resolve().parents[1]


def command(folder: Path, run: str, *arguments: str) -> list[str]:
    """Eight steps of a run, two epochs, a checkpoint every step, 32-bit."""
    base = folder.parent / "base.yaml"
    shared = (ROOT / "experiments/base.yaml").read_text()
    assert "every_n_train_steps: 200" in shared
    base.write_text(shared.replace("every_n_train_steps: 200", "every_n_train_steps: 1"))
    return [
        *(sys.executable, "-m", "defusion.cli", "train", "fit"),
        *("--config", str(base), "--config", str(ROOT / f"experiments/{run}/nano.yaml")),
        *("--trainer.default_root_dir", str(folder), "--trainer.max_steps", "8", "--trainer.accelerator", "cpu"),
        *("--trainer.precision", "32-true", "--trainer.limit_val_batches", "0", "--data.init_args.workers", "1"),
        *("--data.init_args.batch_size", "2", "--data.init_args.crop_size", "32"),
        *("--data.init_args.steps_per_epoch", "4", "--data.init_args.synthesis.grounds", "4"),
        *arguments,
    ]


def test_it_does_not_go_on_with_another_optimiser(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(tmp_path)
    trained, other = module(str(tmp_path)), module(str(tmp_path))
    other.optimizer = "muon" if trained.optimizer != "muon" else "adamw"
    checkpoint: dict[str, Any] = {"state_dict": trained.state_dict()}
    trained.on_save_checkpoint(checkpoint)
    trained.on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match=rf"model\.optimizer: expected {trained.optimizer}, with which"):
        other.on_load_checkpoint(checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("run", ["tokenizer", "diffusion"])
@pytest.mark.fault
def test_a_killed_training_ends_like_one_that_was_not(run: str, by_name: bool, tmp_path: Path) -> None:
    """Seed 0: the same weights, codebook, EMA, optimiser and schedule after SIGKILL and `--ckpt_path`."""
    extra: list[str] = []
    if run == "diffusion":
        config = yaml.safe_load((ROOT / "experiments/tokenizer/nano.yaml").read_text())["model"]["init_args"]["config"]
        filled(TokenizerConfig(**config)).save(tmp_path / "tokenizer")
        extra = ["--model.tokenizer", str(tmp_path / "tokenizer")]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, run, *extra), check=True, capture_output=True)
    process = subprocess.Popen(command(killed, run, *extra), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = killed / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert torch.load(last, weights_only=True)["global_step"] < 8
    subprocess.run(
        command(killed, run, *extra, "--ckpt_path", str(last) if by_name else "last"), check=True, capture_output=True
    )
    first, second = (torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (whole, killed))
    for key in ("global_step", "state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(second[key], first[key], rtol=0, atol=0)
    assert first["global_step"] >= 8
    if run == "diffusion":
        assert first["current_model_state"]["model.unet.head.weight"].abs().max() > 0, "something was learnt"
