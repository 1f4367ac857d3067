"""Training of the describer, as a LightningModule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.averages import Averages
from defusion.degradations.library import NAMES
from defusion.describer.network import Describer, DescriberConfig, Logits, crops, present
from defusion.optimisation import OptimizedModule, OptimizerName
from defusion.tokenizer.network import Tokenizer
from defusion.types import Batch

_NAMED = "val/named_exactly"


class DescriberModule(OptimizedModule):
    """Trains a describer to write the instruction of a degraded picture.

    The batches show on the canonical chart exactly what degraded lq (`data.synthesis.canonical`); a picture that is
    not degraded is to be described by the clean chart.

    Args:
        tokenizer: folder of a trained tokenizer, whose codes are written; it stays frozen.
        describer: the shape of the network.
        names_weight: of the loss of the degradations' names.
        severity_weight: of the loss of their severities.
        optimizer: "muon" or "adamw".
        learning_rate: peak rate.
        final_learning_rate: at the end of the cosine decay.
        warmup_steps: of linear warm-up.
        weight_decay: decoupled.
        gradient_clip: largest norm of the gradient.
        start: folder of a describer to start from; null for a fresh one.
        pictures: lq are pictures as `Describer.describe` gets them, several of its crops wide: of them it learns to
            read the mean over one, two, three... crops, and its features stay as they are, which needs `start`.
    """

    def __init__(
        self,
        tokenizer: str,
        describer: DescriberConfig = DescriberConfig(),
        names_weight: float = 4.0,
        severity_weight: float = 1.0,
        optimizer: OptimizerName = "muon",
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-6,
        warmup_steps: int = 200,
        weight_decay: float = 0.02,
        gradient_clip: float = 1.0,
        start: str | None = None,
        pictures: bool = False,
    ) -> None:
        super().__init__(optimizer, learning_rate, final_learning_rate, warmup_steps, weight_decay, gradient_clip)
        if pictures and start is None:
            raise ValueError("start: expected the weights of a describer, whose features pictures: true keeps")
        known = Tokenizer.load(tokenizer)
        self.describer = Describer(describer, known) if start is None else Describer.load(start, known)
        self.describer.features.to(memory_format=torch.channels_last).requires_grad_(not pictures)
        self.names_weight = names_weight
        self.severity_weight = severity_weight
        self.pictures = pictures
        self.averages: Averages | None = None

    def on_fit_start(self) -> None:
        """Checks that the data shows the grounds that the tokenizer knows, and the canonical one; notes their size."""
        data: Any = getattr(self.trainer, "datamodule", None)
        self.describer.tokenizer.config.check_chart(data)
        own = self.describer.config.crop_size
        if self.pictures and data is not None and data.crop_size <= own:
            raise ValueError(
                f"data.crop_size: expected pictures of several crops of {own} px, got {data.crop_size}: give {2 * own}"
            )
        if hasattr(data, "crop_size") and not self.pictures:  # they are looked at in crops as large as in training
            self.describer.config = replace(self.describer.config, crop_size=data.crop_size)
        synthesis = getattr(getattr(data, "synthesis", None), "config", None)
        if synthesis is None:
            return
        if not synthesis.canonical:
            raise ValueError("data.synthesis.canonical: expected true, for a describer writes on the canonical chart")
        for name in ("type_matched", "partial"):
            if getattr(synthesis, name):
                raise ValueError(f"data.synthesis.{name}: expected 0, for a describer writes all that is wrong with lq")
        if data.pairs:
            raise ValueError("data.pairs: expected none, for nobody knows what a chart would show of real pairs")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy of names and codes, and the error of the severities that are there."""
        assert batch.severities is not None, "training batches have severities"
        most = len(crops(batch.lq[0], self.describer.config.crop_size))
        logits = self.describer.read(self.describer.look(batch.lq, 1 + batch_idx % most))
        names = named(batch.task).to(logits.names)
        there = names.sum().clamp(min=1)
        terms = {
            "names": F.binary_cross_entropy_with_logits(logits.names, names),
            "severity": ((logits.severities.sigmoid() - batch.severities.to(names)).abs() * names).sum() / there,
            "codes": F.cross_entropy(logits.codes.flatten(0, 1), self._codes(batch).flatten()),
        }
        loss = self.names_weight * terms["names"] + self.severity_weight * terms["severity"] + terms["codes"]
        self.log_dict({f"train/{name}": term for name, term in terms.items()}, batch_size=len(names))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(names))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The share of pictures whose degradations are all named, and no others."""
        logits: Logits = self.describer(batch.lq)
        exact = (present(logits.names) == named(batch.task).to(self.device).bool()).all(1)
        assert self.averages is not None
        self.averages.update({_NAMED: exact.float().mean()}, len(exact))
        for task in set(batch.task):
            own = exact[torch.tensor([name == task for name in batch.task], device=exact.device)]
            self.averages.update({f"val/{task}/named_exactly": own.float().mean()}, len(own))

    def on_validation_epoch_start(self) -> None:
        """Starts afresh, with a mean for each task of the data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        tasks = getattr(data, "validation_tasks", ())
        self.averages = Averages([_NAMED, *(f"val/{task}/named_exactly" for task in tasks)]).to(self.device)

    def on_validation_epoch_end(self) -> None:
        """Logs the means over all processes."""
        assert self.averages is not None
        means = self.averages.compute()
        self.log(_NAMED, means.pop(_NAMED), prog_bar=True)
        self.log_dict(means)

    def _codes(self, batch: Batch) -> Tensor:
        """What is to be written, (B, N): the clean chart of pictures that are not degraded."""
        clean = torch.tensor([task == "clean" for task in batch.task], device=batch.lq.device)
        charts = torch.where(clean[:, None, None, None], batch.ground, batch.instruction)
        return self.describer.tokenizer.indices(charts)

    def hidden_weights(self) -> list[nn.Parameter]:
        """Of the network, what Muon orthogonalises."""
        return [own for own in self.describer.hidden_weights() if own.requires_grad]

    def save_weights(self, folder: Path) -> None:
        """Writes the describer for inference, read by `Describer.load`."""
        self.describer.save(folder)


def named(tasks: tuple[str, ...]) -> Tensor:
    """Which degradations are in "rain+noise", ...: (B, 11), 1 or 0, in the order of the library."""
    return torch.tensor([[float(name in task.split("+")) for name in NAMES] for task in tasks])
