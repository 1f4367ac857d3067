import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from defusion.guard import DivergedError, NonFiniteGuard
from defusion.tokenizer.loss import PerceptualConfig
from defusion.tokenizer.module import DiscriminatorConfig, TokenizerModule
from defusion.tokenizer.network import TokenizerConfig
from defusion.types import Batch, Mode

TINY = TokenizerConfig(ground_size=16, channels=(16, 32), num_codes=24, token_channels=8)
SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
ALEXNET = SHARED / "lpips" / "alexnet_features_fp16.safetensors"


def make_batch(ground: Tensor) -> Batch:
    n = len(ground)
    dark = ground * 0.3
    return Batch(ground, dark, ground, ground, dark, ("low_light",) * n, ("low_light",) * n, (Mode.MATCHED,) * n)


class Grounds(Dataset[Tensor]):
    """Patches of four colours."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Tensor:
        colours = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(index))
        return torch.nn.functional.interpolate(colours, size=self.size)[0]


class GroundData(LightningDataModule):
    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.size = size

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Grounds(self.size), batch_size=8)

    val_dataloader = train_dataloader

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Batch:
        return make_batch(batch)


class SaveHalfway(Callback):
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 8:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "last.ckpt")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # Lightning 2.6
        yield


def make_trainer(folder: Path, steps: int, **keywords: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 2,
    }
    return Trainer(default_root_dir=folder, accelerator="cpu", max_steps=steps, **(defaults | keywords))


def make_module(**keywords: Any) -> TokenizerModule:
    torch.manual_seed(0)
    return TokenizerModule(TINY, **({"learning_rate": 3e-3, "warmup_steps": 5} | keywords))


def test_training_lowers_the_loss_and_uses_the_codebook(tmp_path: Path) -> None:
    module, trainer = make_module(), make_trainer(tmp_path, 60)
    before = trainer.validate(module, GroundData(), verbose=False)[0]
    trainer.fit(module, GroundData())
    after = trainer.validate(module, GroundData(), verbose=False)[0]
    assert trainer.global_step == 60
    assert after["val/mse"] < 0.25 * before["val/mse"]
    assert after["val/psnr"] > before["val/psnr"] + 5
    assert after["val/codebook_usage"] > 0.5
    assert 8 < after["val/codebook_perplexity"] <= 24


def test_rate_warms_up_and_decays_to_the_end(tmp_path: Path) -> None:
    rates = []

    class Recorded(TokenizerModule):
        def on_train_batch_end(self, *arguments: object) -> None:
            rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    make_trainer(tmp_path, 20).fit(Recorded(TINY, learning_rate=1e-3, warmup_steps=5), GroundData())
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (3, 4)
    assert rates[-1] < 1e-6


def test_discriminator_starts_late_and_steps_are_not_counted_twice(tmp_path: Path) -> None:
    module = make_module(discriminator=DiscriminatorConfig(channels=8, layers=1, start_step=6))
    assert module.discriminator is not None
    before = {name: value.clone() for name, value in module.discriminator.named_parameters()}
    make_trainer(tmp_path, 6).fit(module, GroundData())
    assert all(torch.equal(value, before[name]) for name, value in module.discriminator.named_parameters())
    trainer = make_trainer(tmp_path, 12)
    trainer.fit(module, GroundData())
    assert trainer.global_step == 12
    assert not all(torch.equal(value, before[name]) for name, value in module.discriminator.named_parameters())
    assert {
        "train/adversarial",
        "train/adaptive_weight",
        "train/discriminator",
    } <= trainer.callback_metrics.keys()
    assert all(parameter.requires_grad for parameter in module.discriminator.parameters())


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore:.*not finite")
def test_a_bad_step_of_the_discriminator_is_skipped_and_counted(tmp_path: Path) -> None:
    """From the fourth step on; after three of them in a row the training stops, though the tokenizer's are good."""

    class Overflow(Callback):
        def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
            own = pl_module.get_submodule("discriminator")
            gradients = [parameter.grad for parameter in own.parameters() if parameter.grad is not None]
            if trainer.global_step >= 4:  # already after the step of the tokenizer
                for gradient in gradients:
                    gradient.fill_(torch.inf)

    guard = NonFiniteGuard(patience=3, returns=0)
    module = make_module(discriminator=DiscriminatorConfig(channels=8, layers=1, start_step=3))
    trainer = make_trainer(tmp_path, 12, callbacks=[Overflow(), guard])
    with pytest.raises(DivergedError, match=r"gradients of \d+ of \d+ parameters, first discriminator\."):
        trainer.fit(module, GroundData())
    assert guard.skipped == 3
    assert trainer.global_step == 6
    assert all(own.isfinite().all() for own in module.state_dict().values())


@pytest.mark.parametrize("adversarial", [False, True])
def test_resumed_training_equals_training_without_a_break(tmp_path: Path, adversarial: bool) -> None:
    keywords: dict[str, Any] = {"seed": 3}
    if adversarial:
        keywords["discriminator"] = DiscriminatorConfig(channels=8, layers=1, start_step=3)
    straight = make_module(**keywords)
    make_trainer(tmp_path, 16, callbacks=[SaveHalfway()]).fit(straight, GroundData())
    torch.load(tmp_path / "last.ckpt", weights_only=True)
    resumed = make_module(**keywords)
    second = make_trainer(tmp_path, 16)
    second.fit(resumed, GroundData(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert second.global_step == 16
    for name, value in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_same_seed_same_tokenizer_and_global_state_untouched(tmp_path: Path) -> None:
    fingerprints = []
    for global_seed in (1, 2):
        module = make_module()
        torch.manual_seed(global_seed)
        make_trainer(tmp_path, 6, limit_val_batches=0).fit(module, GroundData())
        fingerprints.append(module.tokenizer.fingerprint())
    assert fingerprints[0] == fingerprints[1]


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.1, 0.1), (1.0, 1.0)])
def test_a_share_of_the_instructions_is_replaced_by_the_clean_ground(probability: float, share: float) -> None:
    module = make_module(clean_probability=probability)
    batch = make_batch(torch.rand(2000, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    ground = module._replace_by_clean(batch)
    clean = (ground == batch.ground).flatten(1).all(1)
    shown = (ground == batch.instruction).flatten(1).all(1)
    assert (clean ^ shown).all()
    assert clean.float().mean() == pytest.approx(share, abs=0.03)


@pytest.mark.skipif(not ALEXNET.is_file(), reason=f"no AlexNet weights at {ALEXNET}")
def test_lpips_weights_stay_out_of_checkpoints(tmp_path: Path) -> None:
    module = make_module(perceptual=PerceptualConfig("alex", str(ALEXNET)))
    trainer = make_trainer(tmp_path, 2, limit_train_batches=2)
    trainer.fit(module, GroundData(32))
    assert trainer.callback_metrics["train/lpips"] > 0
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert not any(name.startswith("perceptual.") for name in checkpoint["state_dict"])
    resumed = make_trainer(tmp_path, 4, limit_train_batches=2)
    resumed.fit(module, GroundData(32), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert resumed.global_step == 4


def test_missing_lpips_weights_stop_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="perceptual: null"):
        make_module(perceptual=PerceptualConfig("alex", str(tmp_path / "none.safetensors")))


def test_pictures_are_written_to_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path)
    trainer = make_trainer(tmp_path, 2, logger=logger, log_every_n_steps=1, limit_train_batches=2)
    trainer.fit(make_module(), GroundData())
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert "val/ground_instruction_reconstruction_codes" in events.Tags()["images"]
    assert {"train/mse", "val/psnr", "val/codebook_usage"} <= set(events.Tags()["scalars"])
