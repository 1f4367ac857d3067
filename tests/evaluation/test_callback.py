import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import DataLoader

from defusion.evaluation.callback import TaskMetricsCallback
from defusion.evaluation.scoring import TaskMetrics
from defusion.types import Batch, Image, Mode

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # a loader of twelve pictures needs none
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),  # Lightning 2.6
]

TASKS = ("rain", "noise", "rain", "haze", "noise", "snow")
MODES = (Mode.MATCHED, Mode.TYPE_MATCHED, Mode.MATCHED, Mode.NULL, Mode.PARTIAL, Mode.MATCHED)


def make_batch(lq: Image) -> Batch:
    target = (lq * 0.8 + 0.1).clamp(0, 1)
    ground = torch.full((len(lq), 3, 16, 16), 0.5)
    fields: dict[str, Any] = {
        "hq": target, "lq": lq, "target": target, "ground": ground, "instruction": ground * 0.5,
        "task": TASKS[: len(lq)], "shown": TASKS[: len(lq)], "mode": MODES[: len(lq)],
    }  # fmt: skip
    return Batch(**{field.name: fields[field.name] for field in dataclasses.fields(Batch) if field.name in fields})


class Halfway(LightningModule):
    """Restores half of the degradation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def on_after_batch_transfer(self, batch: Image, dataloader_idx: int) -> Batch:
        return make_batch(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.weight.square().sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Image]:
        return {"restored": (batch.lq + batch.target) / 2}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Silent(Halfway):
    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Image]:
        return {}


def loader(batches: int = 2) -> DataLoader[Tensor]:
    pictures = torch.rand(batches * len(TASKS), 3, 24, 20, generator=torch.Generator().manual_seed(0))
    return DataLoader(pictures, batch_size=len(TASKS))  # type: ignore[arg-type]


def fit(
    callback: TaskMetricsCallback, folder: Path, logger: Logger | bool, module: LightningModule | None = None
) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=1,
        num_sanity_val_steps=1,
        logger=logger,
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        default_root_dir=folder,
    )
    trainer.fit(module or Halfway(), loader(), loader())
    return trainer


def test_each_restored_task_is_logged(tmp_path: Path) -> None:
    callback = TaskMetricsCallback()
    logged = fit(callback, tmp_path, logger=False).logged_metrics
    assert {name for name in logged if name.startswith("val/")} == {
        "val/psnr_gain",
        *(f"val/{task}/{name}" for task in ("noise", "rain", "snow") for name in ("psnr", "psnr_gain", "ssim")),
    }

    expected = TaskMetrics()
    for lq in loader():
        batch = make_batch(lq)
        restored = (batch.lq + batch.target) / 2
        shown = [0, 1, 2, 5]
        expected.update(lq[shown], restored[shown], batch.target[shown], [TASKS[row] for row in shown])
    results = expected.compute()
    assert callback.results == results
    assert {task: result.num_images for task, result in results.items()} == {"noise": 2, "rain": 4, "snow": 2}
    assert logged["val/rain/psnr"] == pytest.approx(results["rain"].restored["psnr"])
    assert logged["val/rain/ssim"] == pytest.approx(results["rain"].restored["ssim"])
    gains = [result.psnr_gain for result in results.values()]
    assert logged["val/psnr_gain"] == pytest.approx(sum(gains) / 3)
    assert logged["val/psnr_gain"] == pytest.approx(6.02, abs=0.01)


def test_the_perceptual_distance_is_logged(tmp_path: Path) -> None:
    callback = TaskMetricsCallback(perceptual=lambda a, b: (a - b).abs().mean())
    logged = fit(callback, tmp_path, logger=False).logged_metrics
    assert logged["val/rain/lpips"] > 0


def test_tensorboard_shows_the_pictures_of_each_task(tmp_path: Path) -> None:
    fit(TaskMetricsCallback(num_images=3), tmp_path, TensorBoardLogger(tmp_path, name="", version=""))
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    tags = set(events.Tags()["images"])
    assert tags == {
        f"val/{task}/{kind}"
        for task in ("noise", "rain", "snow")
        for kind in ("lq_restored_target", "ground_instruction")
    }
    last = events.Images("val/rain/lq_restored_target")[-1]
    assert (last.width, last.height) == (3 * (20 + 2) + 2, 3 * (24 + 2) + 2)
    pair = events.Images("val/rain/ground_instruction")[-1]
    assert (pair.width, pair.height) == (2 * (16 + 2) + 2, 3 * (16 + 2) + 2)
    assert "val/rain/psnr_gain" in events.Tags()["scalars"]


def test_other_loggers_get_scalars_alone(tmp_path: Path) -> None:
    fit(TaskMetricsCallback(), tmp_path, CSVLogger(tmp_path, name="", version=""))
    assert "val/noise/ssim" in (tmp_path / "metrics.csv").read_text()


def test_the_table_is_printed_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(TaskMetricsCallback(), tmp_path, logger=False)
    printed = capsys.readouterr().out
    assert printed.count("Validation") == 1
    for task in ("noise", "rain", "snow", "mean"):
        assert task in printed


def test_a_module_without_restorations_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Silent.validation_step: expected a dict with 'restored'"):
        fit(TaskMetricsCallback(), tmp_path, logger=False, module=Silent())


def test_the_number_of_images_is_checked() -> None:
    with pytest.raises(ValueError, match="num_images"):
        TaskMetricsCallback(num_images=-1)
