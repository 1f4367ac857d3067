"""What one trained network of the study scored: the file that its measuring writes and its report reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from defusion.evaluation.outcome import Measured
from defusion.evaluation.report import write_json


class ScoresError(ValueError):
    """A file of scores that is missing, damaged, or something else; says the file and what to do."""


@dataclass(frozen=True, kw_only=True)
class ImageScore(Measured):
    """The scores of one degraded photograph: `input` and `restored`, with "psnr" (dB), "ssim" and perhaps "lpips".

    Attributes:
        task: its degradations by name: "rain", "rain+noise". Of one photograph, `name` is the same under all tasks.
    """

    task: str


@dataclass(frozen=True)
class Measurement:
    """One way in which a trained network was measured.

    Attributes:
        name: "main", of every network; of some also "steps-4", "sde-10", "parameter-matched-0.8", "severity-0.1",
            "composites-3", ...
        instruction: what the instruction showed: "type-matched".
        sampler: "ddim" or "sde"; of a network without sampling, "none".
        steps: network evaluations.
        severity: of the degradations, in [0, 1].
        images: at least one, all with the same metrics, each photograph once a task.

    Raises:
        ValueError: without a picture, for a photograph that comes twice, or differing metrics.
    """

    name: str
    instruction: str
    sampler: str
    steps: int
    severity: float
    images: tuple[ImageScore, ...]

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError(f"measurement {self.name}: expected at least one picture, got none")
        seen = set()
        for image in self.images:
            if (image.task, image.name) in seen:
                raise ValueError(
                    f"measurement {self.name}: expected each photograph once a task, got {image.name!r} twice "
                    f"under {image.task}; give photographs different names"
                )
            if image.restored.keys() != self.images[0].restored.keys():
                raise ValueError(
                    f"measurement {self.name}: expected the same metrics of every picture, got "
                    f"{sorted(image.restored)} for {image.name!r}, {sorted(self.images[0].restored)} before"
                )
            seen.add((image.task, image.name))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of its pictures, "psnr" first."""
        return tuple(self.images[0].restored)


@dataclass(frozen=True)
class CurvePoint:
    """The mean gain on the validation pictures, in dB, after so many seconds of training."""

    seconds: float
    psnr_gain: float


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a network was trained and where it was measured; None where its training left no record of it.

    Attributes:
        data: what it was trained on: the name of the folder of photographs, or that these are the embedded ones.
        crop: side of a training sample in px.
        batch: samples a step.
        optimiser: its name.
        learning_rate: the largest.
        averaging: decay of the moving average of the weights that are measured.
        size: side in px of the squares that were measured.
        device: that measured.
        code: digests of the code that trained, joined by ", " where it changed on the way.
    """

    data: str | None = None
    crop: int | None = None
    batch: int | None = None
    optimiser: str | None = None
    learning_rate: float | None = None
    averaging: float | None = None
    size: int | None = None
    device: str = "an unknown device"
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One trained network: how it was trained, and all that was measured of it.

    Attributes:
        variant: its name in the study: "full", "blank", "nafnet".
        seed: of the training.
        parameters: of the network that restores, those of a frozen tokenizer left out.
        train_steps: of the optimiser.
        train_seconds: of the whole training, without that of the tokenizer.
        tokenizer_seconds: of the training of its tokenizer; None where it uses none, or that was not timed.
        curve: of the validation, in the order of time; may be empty.
        measurements: each name once, "main" among them.
        provenance: how it was trained.
        identity: all that the scores depend on, as JSON values: with another one, they have to be taken again.

    Raises:
        ValueError: for a name that comes twice, or without "main".
    """

    variant: str
    seed: int
    parameters: int
    train_steps: int
    train_seconds: float
    curve: tuple[CurvePoint, ...]
    measurements: tuple[Measurement, ...]
    tokenizer_seconds: float | None = None
    provenance: Provenance = Provenance()
    identity: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [own.name for own in self.measurements]
        if len(set(names)) < len(names) or "main" not in names:
            raise ValueError(f"measurements of {self.variant}: expected 'main' and others, each name once, got {names}")

    def measurement(self, name: str) -> Measurement | None:
        """The measurement of that name; None where it was not taken."""
        return next((own for own in self.measurements if own.name == name), None)

    @property
    def main(self) -> Measurement:
        """The measurement that every variant has."""
        return next(own for own in self.measurements if own.name == "main")

    def write(self, path: Path | str) -> None:
        """Writes a JSON file, whole or not at all; read by `read`."""
        write_json(path, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "variant": self.variant,
            "seed": self.seed,
            "parameters": self.parameters,
            "train_steps": self.train_steps,
            "train_seconds": self.train_seconds,
            "tokenizer_seconds": self.tokenizer_seconds,
            "provenance": asdict(self.provenance),
            "identity": dict(self.identity),
            "curve": [[point.seconds, point.psnr_gain] for point in self.curve],
            "measurements": [_measurement_as_json(own) for own in self.measurements],
        }

    @classmethod
    def read(cls, path: Path | str) -> "Scores":
        """Reads what `write` wrote.

        Raises:
            ScoresError: when it cannot be read, or is no file of scores.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise ScoresError(f"{path}: cannot be read ({error.strerror}); measure this run first") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ScoresError(f"{path}: not the scores of a run ({error!r}); remove it and measure again") from error

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scores":
        """The inverse of `as_json`.

        Raises:
            KeyError: for a missing field; TypeError or ValueError for values that do not fit.
        """
        own = {
            "curve": tuple(CurvePoint(float(seconds), float(gain)) for seconds, gain in data["curve"]),
            "measurements": tuple(map(_measurement, data["measurements"])),
            "provenance": Provenance(**data["provenance"]),
            "identity": data["identity"],
        }
        return cls(**{**data, **own})


def _measurement(data: Mapping[str, Any]) -> Measurement:
    rest = {key: value for key, value in data.items() if key != "images"}
    return Measurement(**rest, images=tuple(ImageScore(**image) for image in data["images"]))


def _measurement_as_json(own: Measurement) -> dict[str, Any]:
    images = [
        {"task": image.task, "name": image.name, "input": dict(image.input), "restored": dict(image.restored)}
        for image in own.images
    ]
    return {
        "name": own.name,
        "instruction": own.instruction,
        "sampler": own.sampler,
        "steps": own.steps,
        "severity": own.severity,
        "images": images,
    }
