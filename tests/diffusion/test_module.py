"""Training of the diffusion: it learns, resumes exactly, and refuses a wrong tokenizer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from data_modules.plan import SynthesisConfig
from data_modules.restoration import RestorationDataModule
from defusion.averaging import ExponentialMovingAverage
from defusion.degradations.library import NAMES
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.diffusion.module import DiffusionModule
from defusion.grounds.chart import Chart
from defusion.tokenizer.network import Tokenizer
from defusion.weights import WeightsError, stored
from tests.conftest import TINY_UNET


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> str:
    tokenizer.save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


def data(steps: int = 4) -> RestorationDataModule:
    return RestorationDataModule(
        synthesis=SynthesisConfig(
            weights={name: float(name == "haze") for name in NAMES},
            composites=(1.0,),
            mismatched=0.0,
            chart=Chart(32),
            grounds=4,
        ),
        crop_size=16,
        batch_size=4,
        steps_per_epoch=steps,
        workers=0,
        validation_tasks=("haze",),
        validation_size=32,
        validation_photos=1,
    )


def module(folder: str, **changes: Any) -> DiffusionModule:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 2} | changes
    return DiffusionModule(folder, DefusionConfig(unet=TINY_UNET), **settings)


def trainer(root: Path, steps: int, **changes: Any) -> Trainer:
    settings: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "limit_val_batches": 0,
        "enable_progress_bar": False,
    } | changes
    return Trainer(
        max_steps=steps,
        default_root_dir=root,
        accelerator="cpu",
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


def test_training_removes_haze(folder: str, tmp_path: Path) -> None:
    learner = module(folder)
    source = data(60)
    trainer(tmp_path, 60).fit(learner, source)
    batch = source.on_after_batch_transfer(next(iter(source.val_dataloader())), 0)
    restored = learner.eval().restorations(batch, range(len(batch.lq)), 1)[-1]
    assert (restored - batch.target).square().mean() < 0.7 * (batch.lq - batch.target).square().mean()


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_training_is_the_same_again_and_resumes_to_the_same(folder: str, tmp_path: Path) -> None:
    """Six steps at once, again, and as three and three: the same weights, EMA and schedule, bit for bit."""

    def fit(root: Path, steps: int, resume: str | None = None) -> tuple[dict[str, torch.Tensor], float]:
        keep = ModelCheckpoint(dirpath=root, save_last=True, every_n_train_steps=1, enable_version_counter=False)
        learner = module(folder)
        run = trainer(
            root,
            6,
            enable_checkpointing=True,
            callbacks=[keep, ExponentialMovingAverage(0.9)],
            limit_train_batches=3,
        )
        if steps < 6:  # stop at the end of the first epoch, as a kill would
            learner.on_train_epoch_end = lambda: setattr(run, "should_stop", True)  # type: ignore[method-assign]
        run.fit(learner, data(3), ckpt_path=resume, weights_only=True)
        rate = run.optimizers[0].param_groups[0]["lr"]
        return {key: value.clone() for key, value in learner.model.unet.state_dict().items()}, rate

    whole, rate = fit(tmp_path / "whole", 6)
    again, _ = fit(tmp_path / "again", 6)
    fit(tmp_path / "part", 3)
    resumed, resumed_rate = fit(tmp_path / "part", 6, str(tmp_path / "part" / "last.ckpt"))
    assert rate == resumed_rate
    for key, value in whole.items():
        assert torch.equal(value, again[key]), key
        assert torch.equal(value, resumed[key]), key


def test_a_checkpoint_of_another_tokenizer_is_refused(folder: str, tmp_path: Path) -> None:
    learner = module(folder)
    run = trainer(tmp_path, 1)
    run.fit(learner, data(1))
    run.save_checkpoint(tmp_path / "last.ckpt")
    Tokenizer(learner.model.tokenizer.config, seed=5).save(folder)
    with pytest.raises(WeightsError, match="was trained with tokenizer"):
        trainer(tmp_path, 2).fit(module(folder), data(2), ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)


def test_weights_are_written_for_inference(folder: str, tmp_path: Path) -> None:
    learner = module(folder)
    learner.save_weights(tmp_path / "weights")
    loaded = Defusion.load(tmp_path / "weights")
    for key, value in learner.model.state_dict().items():
        assert torch.equal(stored(value), stored(loaded.state_dict()[key])), key


def test_the_frozen_tokenizer_keeps_its_identity_under_averaging(folder: str, tmp_path: Path) -> None:
    learner = module(folder)
    before = learner.model.tokenizer.fingerprint()
    trainer(tmp_path, 4, callbacks=[ExponentialMovingAverage(0.9)]).fit(learner, data(4))
    assert learner.model.tokenizer.fingerprint() == before


def test_weights_that_are_shared_out_are_not_orthogonalised(folder: str) -> None:
    own = module(folder, optimizer="muon")
    own.configure_model()
    own._device_mesh = {"data_parallel": None}  # type: ignore[assignment]
    with pytest.raises(ValueError, match="muon orthogonalises whole matrices"):
        own.configure_model()
