"""Which pictures a page shows, where their largest error is, and how they are embedded."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image as Picture
from torch import Tensor
from torch.nn.functional import pad

from defusion.evaluation.outcome import Outcome
from defusion.imageio import to_uint8

CROP = 128
"""Side of the crops in px, where the picture is as large."""


@dataclass(frozen=True)
class Rung:
    """One way to embed: long side of the whole pictures in px, JPEG quality, and whether crops are PNG."""

    side: int
    quality: int
    lossless: bool


LADDER = (Rung(640, 88, True), Rung(640, 80, False), Rung(480, 76, False), Rung(360, 70, False), Rung(240, 60, False))
"""From the best to the smallest."""


@dataclass(frozen=True)
class Box:
    """A part of a picture, px."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Embedded:
    """Input, restoration and reference as data URIs.

    Attributes:
        whole: the pictures, made smaller where they are larger than the rung's side.
        crops: the box of each, pixel by pixel.
        box: where the crops are from.
        width: of the picture in px.
        height: of the picture in px.
    """

    whole: tuple[str, ...]
    crops: tuple[str, ...]
    box: Box
    width: int
    height: int

    @property
    def num_chars(self) -> int:
        """The length of all data URIs."""
        return sum(map(len, (*self.whole, *self.crops)))


def groups(outcome: Outcome, each: int = 3) -> Mapping[str, Sequence[int]]:
    """The pictures to show by their gain in PSNR: "worst" (the worst first), "median", "best" (the best first).

    Args:
        outcome: the test set.
        each: pictures of a group; fewer where the test set has fewer than three times as many, each once.

    Returns:
        Positions in `outcome.per_image`; equal gains go by position. Empty groups are left out.
    """
    order = sorted(range(outcome.num_images), key=lambda number: (outcome.per_image[number].gain, number))
    ends = min(each, (len(order) + 1) // 3)
    middle = min(each, len(order) - 2 * ends)
    start = (len(order) - middle) // 2
    found = {
        "worst": order[:ends],
        "median": order[start : start + middle],
        "best": order[::-1][:ends],
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def choose(outcome: Outcome, each: int = 3) -> list[int]:
    """The positions of all groups, worst, median, best: nine, or as many as there are, each once."""
    return [number for numbers in groups(outcome, each).values() for number in numbers]


def largest_error(restored: Tensor, hq: Tensor, side: int = CROP) -> Box:
    """The square in which the mean squared error is largest, the first of equal ones.

    Args:
        restored: (3, H, W) in [0, 1].
        hq: the same shape.
        side: of the square in px; cut to H and W.
    """
    error = (restored.detach().cpu().double().clamp(0, 1) - hq.detach().cpu().double()).square().mean(0)
    height, width = min(side, error.shape[0]), min(side, error.shape[1])
    integral = pad(error.cumsum(0).cumsum(1), (1, 0, 1, 0))
    tall = integral[height:] - integral[:-height]
    sums = tall[:, width:] - tall[:, :-width]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return Box(left, top, width, height)


def embed(lq: Tensor, restored: Tensor, hq: Tensor, budget: int) -> Embedded:
    """Encodes the three pictures by the best rung of the ladder that fits, or the last.

    Args:
        lq: (3, H, W) in [0, 1].
        restored: the same shape.
        hq: the same shape.
        budget: characters for all their data URIs.

    Raises:
        ValueError: for differing shapes.
    """
    if not lq.shape == restored.shape == hq.shape:
        raise ValueError(
            "lq, restored, hq: expected three pictures of one shape (3, H, W), "
            f"got {tuple(lq.shape)}, {tuple(restored.shape)} and {tuple(hq.shape)}"
        )
    box = largest_error(restored, hq)
    pictures = [Picture.fromarray(to_uint8(picture)) for picture in (lq, restored, hq)]
    for rung in LADDER:
        embedded = _encode(pictures, box, rung)
        if embedded.num_chars <= budget:
            break
    return embedded


def _encode(pictures: Sequence[Picture.Image], box: Box, rung: Rung) -> Embedded:
    corners = (box.left, box.top, box.left + box.width, box.top + box.height)
    crops = [picture.crop(corners) for picture in pictures]
    return Embedded(
        tuple(_jpeg(_smaller(picture, rung.side), rung.quality) for picture in pictures),
        tuple(_png(crop) if rung.lossless else _jpeg(crop, 92) for crop in crops),
        box,
        *pictures[0].size,
    )


def _smaller(picture: Picture.Image, side: int) -> Picture.Image:
    shrunk = picture.copy()
    shrunk.thumbnail((side, side), Picture.Resampling.LANCZOS)
    return shrunk


def _jpeg(picture: Picture.Image, quality: int) -> str:
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:4:4" if quality > 85 else "4:2:0")
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"


def _png(picture: Picture.Image) -> str:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
