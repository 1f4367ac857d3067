"""How a test set is scored: the conventions on which the field's numbers depend, stated and carried out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from defusion.evaluation import metrics
from defusion.evaluation.alignment import align, masked_psnr, masked_ssim
from defusion.evaluation.metrics import MAX_PSNR, Perceptual
from defusion.imageio import eight_bit
from defusion.types import Image

_METRICS: Mapping[str, Callable[[Image, Image], Tensor]] = {
    "psnr_rgb": metrics.psnr,
    "psnr_y": metrics.psnr_y,
    "ssim_rgb": metrics.ssim,
    "ssim_y": metrics.ssim_y,
    "ssim_3d": metrics.ssim_3d,
    "mae": metrics.mae,
}
_LPIPS = "lpips"

_WORDS = {
    "psnr_rgb": "RGB",
    "psnr_y": "BT.601 luma (rgb2ycbcr, not rounded, peak 255)",
    "ssim_rgb": "Gaussian window (11 px, sigma 1.5) where it lies inside, mean of the RGB channels",
    "ssim_y": "Gaussian window (11 px, sigma 1.5) where it lies inside, BT.601 luma",
    "ssim_3d": "MATLAB's ssim of an RGB array, 11 x 11 x 11 Gaussian window over height, width and channels",
    "mae": "mean absolute error over RGB in [0, 1]",
    _LPIPS: "AlexNet, v0.1, where its weights are at hand",
}


@dataclass(frozen=True)
class Protocol:
    """A test set's scoring, stated beside every number.

    Attributes:
        psnr: "rgb" over the three channels, or "y" over BT.601 luma in [16, 235] (MATLAB's rgb2ycbcr).
        ssim: "rgb": Gaussian window, mean of the channels; "y": the same on luma; "3d": MATLAB's
            three-dimensional window, as in the GoPro numbers of NAFNet and Restormer.
        eight_bit: both pictures are rounded to 8 bits, as saved, first; else scored as clipped floats.
        border: pixels left out on each side.
        align: scale intensity and align by ECC before, and leave out what the alignment does not cover (RealBlur).
        extra: further metrics reported beside, of "psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y", "ssim_3d", "mae" and
            "lpips".
        resize: "weather" for the rule of the weather-diffusion family: at most 1024 px, sides multiples of 16.
        note: what else a reader must know.

    Raises:
        ValueError: for an unknown metric in `extra`, a negative border, or `align` with other metrics than RGB's.
    """

    psnr: Literal["rgb", "y"] = "rgb"
    ssim: Literal["rgb", "y", "3d"] = "rgb"
    eight_bit: bool = True
    border: int = 0
    align: bool = False
    extra: tuple[str, ...] = ()
    resize: Literal["none", "weather"] = "none"
    note: str = ""

    def __post_init__(self) -> None:
        known = (*_METRICS, _LPIPS)
        for option, name in (("psnr", f"psnr_{self.psnr}"), ("ssim", f"ssim_{self.ssim}")):
            if name not in known:
                raise ValueError(f"{option}: expected one of {_variants(option)}, got {getattr(self, option)!r}")
        unknown = [name for name in self.extra if name not in known]
        if unknown:
            raise ValueError(f"extra: expected metrics of {', '.join(known)}, got {', '.join(map(repr, unknown))}")
        if self.resize not in ("none", "weather"):
            raise ValueError(f"resize: expected 'none' or 'weather', got {self.resize!r}")
        if self.border < 0:
            raise ValueError(f"border: expected 0 px or more, got {self.border}")
        if self.align and (self.psnr, self.ssim, self.border, self.extra) != ("rgb", "rgb", 0, ()):
            raise ValueError(
                "align: only the RGB PSNR and SSIM are defined inside its mask; expected psnr='rgb', ssim='rgb', "
                f"border=0 and no extra, got psnr={self.psnr!r}, ssim={self.ssim!r}, border={self.border}, "
                f"extra={self.extra}"
            )

    def names(self, perceptual: bool) -> tuple[str, ...]:
        """The keys of `scores`, in order; "lpips" only with a perceptual distance."""
        return ("psnr", "ssim", *(name for name in self.extra if perceptual or name != _LPIPS))

    def scores(
        self, prediction: Image, target: Image, perceptual: Perceptual | None = None, names: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """The scores of each picture.

        Args:
            prediction: (B, 3, H, W), clipped to [0, 1] here; already resized as `resize_for` does.
            target: the same shape, clipped alike.
            perceptual: LPIPS (AlexNet) for "lpips" in `extra`, which is left out without it.
            names: of the pictures, for warnings; by default their place in the batch.

        Returns:
            "psnr", "ssim", then each of `extra` by its own name: (B,) float32 each. PSNR is in dB and counts
            equal pictures as 100 dB, so that means stay finite.

        Raises:
            ValueError: for other or unequal shapes, or pictures too small for the border or a window.
        """
        prediction, target = self._prepared(prediction, target)
        if self.align:
            return _aligned(prediction, target, names)
        chosen = {"psnr": f"psnr_{self.psnr}", "ssim": f"ssim_{self.ssim}"} | {name: name for name in self.extra}
        values = {}
        for key, name in chosen.items():
            if name != _LPIPS:
                value = _METRICS[name](prediction, target)
                values[key] = value.clamp(max=MAX_PSNR) if name.startswith("psnr") else value
            elif perceptual is not None:
                pairs = zip(prediction.split(1), target.split(1), strict=True)
                values[key] = torch.stack([perceptual(*pair).detach().float().squeeze() for pair in pairs])
        return values

    def describe(self) -> str:
        """How the scores come about, in two sentences, to stand beside a table."""
        rounded = "both pictures rounded to 8 bits" if self.eight_bit else "on floats clipped to [0, 1]"
        border = f"{self.border} px of border left out" if self.border else "no border crop"
        parts = [f"PSNR: {_WORDS[f'psnr_{self.psnr}']}, {rounded}, {border}", f"SSIM: {_WORDS[f'ssim_{self.ssim}']}"]
        parts += [f"{name.upper().replace('_', ' ')}: {_WORDS[name]}" for name in self.extra]
        before = []
        if self.resize == "weather":
            before.append(
                "input and reference resized before by Lanczos to at most 1024 px and sides up to multiples of 16"
            )
        if self.align:
            before.append(
                "the scored picture scaled in intensity and aligned to the reference by an ECC homography, "
                "both metrics inside its mask (RealBlur)"
            )
        note = f" {self.note[0].upper()}{self.note[1:]}." if self.note else ""
        return f"{'; '.join((*parts, *before))}. Mean over pictures of per-picture values.{note}"

    def _prepared(self, prediction: Image, target: Image) -> tuple[Image, Image]:
        """Both clipped, rounded and cropped."""
        prediction, target = metrics.comparable(prediction, target)
        height, width = prediction.shape[-2:]
        if min(height, width) <= 2 * self.border:
            raise ValueError(
                f"prediction: expected more than twice the border of {self.border} px a side, got {(height, width)}"
            )
        rows, columns = slice(self.border, height - self.border), slice(self.border, width - self.border)
        pair = [x[..., rows, columns] for x in (prediction, target)]
        if self.eight_bit:
            pair = [eight_bit(x) for x in pair]
        return pair[0], pair[1]


def resize_for(protocol: Protocol, picture: NDArray[Any]) -> NDArray[Any]:
    """A picture of a test set at the size at which its protocol restores and scores it; input and target alike.

    "weather" is the rule of WeatherDiffusion (Özdenizci and Legenstein, TPAMI 2023), which those who compare
    with it follow: a longer side beyond 1024 px becomes 1024, the other in proportion, rounded up; then both
    go up to multiples of 16. Pillow's Lanczos. A picture which has its size already is given back as it is.

    Args:
        protocol: of the test set.
        picture: (H, W, 3) uint8; with resize "none" of any type.

    Returns:
        (H', W', 3), of the same type.

    Raises:
        ValueError: for another shape or type where it is to be resized.
    """
    if protocol.resize == "none":
        return picture
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"picture: expected (H, W, 3) uint8 to resize, got {picture.shape} {picture.dtype}; convert it to 8 bits"
        )
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest > 1024:
        height, width = (1024 if side == longest else ceil(side * 1024 / longest) for side in (height, width))
    height, width = (16 * ceil(side / 16) for side in (height, width))
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(Picture.fromarray(picture).resize((width, height), Picture.Resampling.LANCZOS))


def _aligned(prediction: Image, target: Image, names: Sequence[str]) -> dict[str, Tensor]:
    names = names or [f"{number} of the batch" for number in range(len(prediction))]
    pairs = [align(*each) for each in zip(prediction, target, names, strict=True)]
    values = {
        "psnr": torch.stack([masked_psnr(pair) for pair in pairs]).clamp(max=MAX_PSNR),
        "ssim": torch.stack([masked_ssim(pair) for pair in pairs]),
    }
    return {name: value.to(prediction.device) for name, value in values.items()}


def _variants(metric: str) -> str:
    return ", ".join(repr(name.split("_")[1]) for name in _METRICS if name.startswith(f"{metric}_"))
