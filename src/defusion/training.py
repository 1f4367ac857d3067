"""Training from the command line: LightningCLI, where constructors are the schema of the YAML files."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from defusion.precision import default_device, has_bf16

_KNOWN_WARNINGS = (
    ".*LeafSpec.*deprecated",  # Lightning 2.6 with torch's newer pytree
    ".*not supported by the model summary",  # the size in MB of bf16 models
    ".*module.s. in eval mode",  # the frozen tokenizer
    ".*does not have many workers",  # photographs are in memory: one worker keeps up
)


class TrainingCLI(LightningCLI):
    """One run: `experiments/base.yaml` and one flat YAML of what differs.

    Everything goes to `trainer.default_root_dir`: TensorBoard logs, `checkpoints/` for `--ckpt_path
    last`, and, when training ends, `weights/` for inference.
    """

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """bf16 where the hardware has it, and one folder a run, unless the configuration says otherwise."""
        settings = self._get(self.config, "trainer")
        if settings["precision"] is None:
            kwargs["precision"] = "bf16-mixed" if has_bf16(default_device()) else "32-true"
        if settings["logger"] is None:
            kwargs["logger"] = TensorBoardLogger(settings["default_root_dir"] or "runs", name="", version="")
        return super().instantiate_trainer(**kwargs)

    def after_fit(self) -> None:
        """Writes the weights for inference, EMA where it is on."""
        dry = self._get(self.config, "trainer")["fast_dev_run"]
        if self.trainer.is_global_zero and not dry and not self.trainer.interrupted:
            folder = Path(self.trainer.default_root_dir) / "weights"
            self.model.save_weights(folder)
            print(f"weights: {folder}")


def train(arguments: list[str]) -> None:
    """Runs LightningCLI: `fit --config base.yaml --config run.yaml [--trainer.max_steps 100 ...]`."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of Lightning's use of it
    for message in _KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    sys.argv = ["defusion train", *arguments]
    TrainingCLI(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
    )
