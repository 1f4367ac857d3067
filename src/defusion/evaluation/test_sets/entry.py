"""What a test set is: how it lies on the disk, how it is scored, and what its instruction shows."""

from dataclasses import dataclass
from typing import Literal

from defusion.evaluation.protocol import Protocol
from defusion.layouts import Layout


@dataclass(frozen=True)
class Synthesis:
    """How the degraded pictures of a test set are made from its references, picture i by the key (seed, i).

    Attributes:
        kind: "awgn" (sigma in 8-bit units), "jpeg" (Pillow's codec, 4:2:0, at a quality), or "standard"
            (the degradations of `task`, `defusion.degradations.standard`).
        level: sigma or quality; not used by "standard".
        severity: of "standard", in [0, 1]; mid severity (noise: sigma 25) when not given.
    """

    kind: Literal["awgn", "jpeg", "standard"]
    level: float = 0.0
    severity: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """One test set.

    Attributes:
        name: what `TASK=` calls it.
        task: the degradations that its instruction shows, "rain+noise"; a name in braces stands for what the
            layout's name is, joined by "_" ("{degradation}").
        title: the data set's own name and its paper.
        home: where it is distributed.
        size: of its pictures, in words.
        count: number of test pictures; None where none is fixed.
        layouts: accepted folder layouts; the first that finds pictures counts.
        folders: names of its folder below a root, in any case, "-", "_" and " " not told apart.
        protocol: how it is scored.
        licence: as its home states it; "not stated" where it states none.
        synthesis: how its degraded pictures are made, None for real or published pairs.
        published: its data set's name in the paper's tables (and its task there), None where it is in none.
        aside: a part of a layout that holds another version of the pictures, which is not comparable.
        crop_target: the reference is larger than the input and cropped to it in its middle.
        note: what a reader must know.
    """

    name: str
    task: str
    title: str
    home: str
    size: str
    count: int | None
    layouts: tuple[Layout, ...]
    folders: tuple[str, ...]
    protocol: Protocol = Protocol()
    licence: str = "not stated"
    synthesis: Synthesis | None = None
    published: str | None = None
    aside: str = ""
    crop_target: bool = False
    note: str = ""


GENERIC = (Layout("target/{name}", "input/{name}"), Layout("test/target/{name}", "test/input/{name}"))
"""Pairs as anyone may lay them out."""
CLEAN = (Layout("target/{name}"), Layout("HR/{name}"), Layout("{name}"))
"""References alone."""
RGB_AND_Y = Protocol(extra=("psnr_y", "ssim_y"))
NOT_PUBLIC = "the split of the paper is not public"
