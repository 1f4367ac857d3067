"""The LightningDataModule of both trainings: crops from the workers, synthesis on the device."""

from collections.abc import Sequence
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from data_modules.crops import CropDataset, EachOnceSampler, StepSampler
from data_modules.pairs import MixedDataset, PairMixture, PairSource, open_all
from data_modules.photos import STREAM_PREFIX, open_photos
from data_modules.plan import SynthesisConfig
from data_modules.scenes import replace_by_scenes
from data_modules.streams import PictureStream, StreamedCrops
from data_modules.synthesis import Synthesis
from data_modules.validation import ValidationDataset, validation_batch
from defusion.degradations.library import NAMES, parse
from defusion.distributed import world_size
from defusion.grounds.chart import Chart
from defusion.instruction import NULL
from defusion.preemption import leave_signals_to_the_parent
from defusion.types import Batch


class RestorationDataModule(LightningDataModule):
    """Paired crops and the matching visual instructions.

    Workers decode, crop and flip (uint8); after one transfer, `on_after_batch_transfer` draws the
    degradations on the device: lq, target, ground and instruction of `defusion.types.Batch`.

    Args:
        data: a folder of pictures, a picture data set of `datasets` (hub id, parquet, saved folder,
            "stream:NAME"), or None for the embedded photographs.
        pairs: real pairs, mixed in by their weights.
        synthetic_weight: how often a sample is a clean picture that is degraded here, relative to the pairs' weights.
        procedural_share: share of training samples that are procedural scenes, drawn on the device.
        synthesis: degradations, instruction modes, and grounds.
        crop_size: side of the training crops.
        batch_size: samples a step, of each process.
        steps_per_epoch: batches an epoch, of each process where there are several; validation follows each.
        workers: processes that decode and crop; 0 does it in the training process.
        validation_tasks: degradations restored in validation, at the fixed strengths of `defusion eval`; "clean" too.
        validation_size: side of the central crop of validation pictures.
        validation_photos: number of held-out photographs, each under every task.
        seed: of everything in training; sample i depends on (seed, i) alone. Validation is the same for all.

    Raises:
        ValueError: for a number that is too small, and an unknown validation task.
    """

    def __init__(
        self,
        data: str | None = None,
        pairs: Sequence[PairSource] = (),
        synthetic_weight: float = 1.0,
        procedural_share: float = 0.2,
        synthesis: SynthesisConfig = SynthesisConfig(),
        crop_size: int = 64,
        batch_size: int = 16,
        steps_per_epoch: int = 500,
        workers: int = 1,
        validation_tasks: Sequence[str] = NAMES,
        validation_size: int = 128,
        validation_photos: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("crop_size", crop_size, 1),
            ("batch_size", batch_size, 1),
            ("steps_per_epoch", steps_per_epoch, 1),
            ("workers", workers, 0),
            ("validation_size", validation_size, 1),
            ("validation_photos", validation_photos, 1),
        ):
            if value < least:
                raise ValueError(f"data.{name}: expected at least {least}, got {value}")
        for task in validation_tasks:
            _check_task(task)
        self.data = data
        self.pairs = tuple(pairs)
        self.synthetic_weight = synthetic_weight
        self.procedural_share = procedural_share
        self.synthesis = Synthesis(synthesis, seed)
        self.crop_size = crop_size
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.workers = workers
        self.validation_tasks = tuple(validation_tasks)
        self.validation_size = validation_size
        self.validation_photos = validation_photos
        self.seed = seed
        self._done = 0
        """Training samples that this process has had, also before an interruption; a stream counts its own."""

    @property
    def chart(self) -> Chart:
        """The grounds of training and validation."""
        return self.synthesis.config.chart

    def setup(self, stage: str) -> None:
        """Opens the sources; raises ValueError when there is no usable picture."""
        self.training = self._training()
        self._done = 0
        held_out = CropDataset(
            open_photos(self.data, "val", self.crop_size),
            self.validation_size,
            self.seed,
            augment=False,
        )
        self.held_out = ValidationDataset(held_out, self.validation_photos, self.validation_tasks)
        if len(self.held_out) < world_size():
            raise ValueError(
                f"data.validation_photos: expected at least {-(-world_size() // len(self.validation_tasks))}, so that "
                f"each of {world_size()} processes has a sample, got {self.validation_photos} under "
                f"{len(self.validation_tasks)} data.validation_tasks"
            )

    def _training(self) -> CropDataset | MixedDataset | StreamedCrops:
        mixture = None
        if self.pairs:
            weights = [self.synthetic_weight, *(source.weight for source in self.pairs)]
            mixture = PairMixture(open_all(self.pairs), weights, self.crop_size, self.seed)
        if self.data and self.data.startswith(STREAM_PREFIX):
            stream = PictureStream(self.data.removeprefix(STREAM_PREFIX), min_size=self.crop_size, seed=self.seed)
            shape = self.crop_size, self.batch_size, self.steps_per_epoch, self.workers
            return StreamedCrops(stream, *shape, self.seed, mixture)
        clean = CropDataset(
            open_photos(self.data, "train", self.crop_size),
            self.crop_size,
            self.seed,
            self.steps_per_epoch * self.batch_size * world_size(),
        )
        return MixedDataset(clean, mixture) if mixture else clean

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """uint8 crops; samples are numbered on and on from epoch to epoch."""
        if isinstance(self.training, StreamedCrops):  # whose workers begin each epoch where the last one was left
            init = leave_signals_to_the_parent
            return DataLoader(self.training, self.batch_size, num_workers=self.workers, worker_init_fn=init)
        return self._loader(self.training, StepSampler(len(self.training), lambda: self._done))

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """uint8 crops of held-out photographs, each under every validation task."""
        return self._loader(self.held_out, EachOnceSampler(len(self.held_out)))

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """Synthesis on the device of the batch."""
        hq = batch["hq"].float() / 255
        index, task = batch["index"].tolist(), batch["task"]
        if "lq" not in batch:
            return validation_batch(hq, index, task, self.chart)
        if "mark" in batch and isinstance(self.training, StreamedCrops):
            self.training.note(batch["mark"])
        else:
            self._done += len(hq)
        hq = replace_by_scenes(hq, index, task, self.procedural_share, self.seed)
        return self.synthesis(hq, index, task, batch["lq"].float() / 255 if any(task) else None)

    def state_dict(self) -> dict[str, Any]:
        """The place in the data: samples of all processes, or where the readers of a stream stand."""
        if isinstance(self.training, StreamedCrops):
            return self.training.state_dict()
        return {"samples": self._done * world_size()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there, also with other batches or another number of processes."""
        if isinstance(self.training, StreamedCrops):
            self.training.load_state_dict(state_dict)
        else:
            self._done = -(-state_dict["samples"] // world_size())

    def _loader(self, dataset: Any, sampler: StepSampler | EachOnceSampler) -> DataLoader[dict[str, Any]]:
        return DataLoader(
            dataset,
            self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=leave_signals_to_the_parent,
        )


def _check_task(task: str) -> None:
    if task != NULL:
        try:
            parse(task)
        except ValueError as error:
            raise ValueError(f"data.validation_tasks: {error}") from error
