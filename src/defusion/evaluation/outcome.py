"""What an evaluation of one test set gave: the scores of each picture, and all that is needed to take them again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from defusion.evaluation.metrics import MAX_PSNR, Scores
from defusion.instruction import InstructionKind


@dataclass(frozen=True)
class Measured:
    """The scores of one picture, all finite: the infinite PSNR of equal pictures is kept as `MAX_PSNR`.

    Attributes:
        name: of the picture, as its data set has it.
        input: scores of the degraded picture, with "psnr" (dB) and "ssim".
        restored: scores of the restoration, the same metrics.
        seconds: that restoring took; None where it was not timed.
        shown: what the model took for wrong, "rain+noise" or "clean"; None where it was told.
        named: whether these are all of its degradations and no others; None likewise.
        surest: whether the one that it was surest of is among them (top-1); None likewise.

    Raises:
        ValueError: for a missing metric, or a score that is NaN or infinite.
    """

    name: str
    input: Scores
    restored: Scores
    seconds: float | None = None
    shown: str | None = None
    named: bool | None = None
    surest: bool | None = None

    def __post_init__(self) -> None:
        for side in ("input", "restored"):
            object.__setattr__(self, side, _finite(getattr(self, side), f"picture {self.name!r}, {side}"))
        if self.input.keys() != self.restored.keys():
            raise ValueError(
                f"picture {self.name!r}: expected the same metrics of input and restored, "
                f"got {sorted(self.input)} and {sorted(self.restored)}"
            )

    @property
    def gain(self) -> float:
        """PSNR of the restoration less that of the input, in dB."""
        return self.restored["psnr"] - self.input["psnr"]


@dataclass(frozen=True)
class Outcome:
    """One evaluated test set.

    Attributes:
        task: what was asked for: "gopro", "rain+noise".
        dataset: the test set's title.
        protocol: how it was scored, in words, with the variant of PSNR and SSIM.
        per_image: the pictures in the order of the test set, at least one, all with the same metrics.
        weights: where the weights came from.
        sha256: of the weights, in hexadecimal.
        steps: sampling steps.
        seed: of the diffusion noise and the instructions.
        instruction: what the instruction showed, in words.
        layout: the folder layout in which the pictures were found, or how they were made.
        expected: number of pictures of the whole test set; None where none is fixed.
        standin: other pictures than the test set's were taken in its place.
        subset: not all of the test set's pictures were taken.
        kind: of the instruction.
        published: its key in the paper's tables (`Benchmark.published`); None where it is in none.

    Raises:
        ValueError: without a picture, with differing metrics, or for a subset that is not called one.
    """

    task: str
    dataset: str
    protocol: str
    per_image: tuple[Measured, ...]
    weights: str
    sha256: str
    steps: int
    seed: int
    instruction: str
    layout: str
    expected: int | None = None
    standin: bool = False
    subset: bool = False
    kind: InstructionKind = "type-matched"
    published: str | None = None

    def __post_init__(self) -> None:
        if not self.per_image:
            raise ValueError(f"task {self.task}: expected at least one picture, got none")
        for image in self.per_image:
            if image.input.keys() != self.per_image[0].input.keys():
                raise ValueError(
                    f"task {self.task}: expected the same metrics of every picture, got "
                    f"{sorted(image.input)} for {image.name!r}, {sorted(self.per_image[0].input)} before"
                )
        missing = self.expected is not None and self.num_images < self.expected
        if missing and not self.subset and not self.standin:
            raise ValueError(
                f"task {self.task}: {self.num_images} of {self.expected} pictures are a subset; give subset=True"
            )

    @property
    def num_images(self) -> int:
        """The number of pictures behind the means."""
        return len(self.per_image)

    @property
    def input(self) -> Scores:
        """Mean over pictures of their own scores, of the degraded pictures."""
        return _mean([image.input for image in self.per_image])

    @property
    def restored(self) -> Scores:
        """Mean over pictures of their own scores, of the restorations."""
        return _mean([image.restored for image in self.per_image])

    @property
    def gain(self) -> float:
        """Mean gain in PSNR, dB."""
        return self.restored["psnr"] - self.input["psnr"]

    @property
    def seconds(self) -> float | None:
        """Mean time of a restoration; None unless every picture was timed."""
        times = [image.seconds for image in self.per_image if image.seconds is not None]
        return math.fsum(times) / len(times) if len(times) == self.num_images else None

    @property
    def named(self) -> float | None:
        """Share of the pictures whose degradations the model named exactly; None where it was told them."""
        return _share([image.named for image in self.per_image])

    @property
    def surest(self) -> float | None:
        """Share of those whose most probable degradation it named (top-1); None likewise."""
        return _share([image.surest for image in self.per_image])

    @property
    def oracle(self) -> bool:
        """Whether the instruction was made from the references."""
        return self.kind == "oracle"

    @property
    def labels(self) -> tuple[str, ...]:
        """Why it is not comparable with published results; empty if it is the whole test set."""
        unlike = None if self.expected is None or self.standin else self.num_images - self.expected
        reasons = (
            ("stand-in", self.standin),
            ("subset", self.subset),
            ("other number of pictures", unlike is not None and unlike > 0),
            ("number not fixed", self.expected is None and self.published is not None),
            (self.kind, self.kind != "type-matched"),
        )
        return tuple(label for label, holds in reasons if holds)

    @property
    def comparable(self) -> bool:
        """Whether it may stand beside the paper's rows: the whole of a test set of its tables, of a fixed number."""
        return self.published is not None and not self.labels

    def as_json(self) -> dict[str, Any]:
        """For a JSON file: every number is finite, and the same evaluation gives the same file (without times)."""
        return {
            "task": self.task,
            "dataset": self.dataset,
            "protocol": self.protocol,
            "num_images": self.num_images,
            "input": _rounded(self.input),
            "restored": _rounded(self.restored),
            "per_image": [
                {"name": image.name, "input": _rounded(image.input), "restored": _rounded(image.restored)}
                | ({} if image.shown is None else {"shown": image.shown, "named": image.named, "surest": image.surest})
                for image in self.per_image
            ],
            "weights": {"path": self.weights, "sha256": self.sha256},
            "steps": self.steps,
            "standin": self.standin,
            "subset": self.subset,
            "oracle": self.oracle,
            "instruction": self.instruction,
            **({} if self.named is None else {"named_exactly": round(self.named, 6)}),
            **({} if self.surest is None else {"surest_right": round(self.surest, 6)}),
            "layout": self.layout,
            "seed": self.seed,
        }


def _share(found: Sequence[bool | None]) -> float | None:
    """Of those that are known."""
    known = [own for own in found if own is not None]
    return sum(known) / len(known) if known else None


def _finite(scores: Scores, what: str) -> Scores:
    missing = {"psnr", "ssim"} - scores.keys()
    if missing:
        raise ValueError(f"{what}: expected psnr and ssim, got {sorted(scores)}")
    capped = {
        metric: min(float(value), MAX_PSNR) if metric.startswith("psnr") else float(value)
        for metric, value in scores.items()
    }
    for metric, value in capped.items():
        if not math.isfinite(value):
            raise ValueError(f"{what}: expected a finite {metric}, got {value}")
    return capped


def _rounded(scores: Scores) -> dict[str, float]:
    """To a millionth: what is behind is the noise of single precision."""
    return {name: round(value, 6) for name, value in scores.items()}


def _mean(scores: Sequence[Scores]) -> Scores:
    return {name: math.fsum(own[name] for own in scores) / len(scores) for name in scores[0]}
