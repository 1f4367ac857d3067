"""The metrics of the field, of each picture by itself: PSNR, SSIM, MAE, each in the variants that papers report.

Every function takes two batches (B, 3, H, W), sRGB, clamped to [0, 1] here, gives (B,) float32, and is
symmetric. `evaluation.protocol.Protocol` says which of them a test set is scored by.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from kornia.filters import get_gaussian_kernel1d
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio

from defusion.types import Image

Perceptual: TypeAlias = Callable[[Image, Image], Tensor]
"""LPIPS: the distance of two pictures in [0, 1], each (1, 3, H, W); `tokenizer.loss.PerceptualLoss` fits."""

Scores: TypeAlias = Mapping[str, float]
"""Metric -> value: "psnr" in dB, "ssim", and what else the protocol asks for."""

MAX_PSNR = 100.0
"""What equal pictures count in a mean, in dB; their own PSNR is infinite."""

WINDOW = 11
"""Side of the Gaussian window of SSIM, in px."""

_SIGMA = 1.5
_STRIP = 128
_C1, _C2 = 0.01**2, 0.03**2
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLACK = 16 / 255


def psnr(prediction: Image, target: Image) -> Tensor:
    """Peak signal-to-noise ratio over the RGB values, infinite for equal pictures.

    Equals `skimage.metrics.peak_signal_noise_ratio(..., data_range=1)` of each pair.

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: the same shape.

    Returns:
        (B,), in dB.

    Raises:
        ValueError: for other or unequal shapes.
    """
    return _psnr(*comparable(prediction, target))


def psnr_y(prediction: Image, target: Image) -> Tensor:
    """PSNR over BT.601 luma (`luma`) without rounding it, the peak still 255 (BasicSR, SwinIR, WeatherDiffusion).

    MATLAB's rgb2ycbcr of an 8-bit picture also rounds luma; the derain scripts in MATLAB differ by that.

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: the same shape.

    Returns:
        (B,), in dB; infinite for equal luma.

    Raises:
        ValueError: for other or unequal shapes.
    """
    return _psnr(*map(luma, comparable(prediction, target)))


def ssim(prediction: Image, target: Image) -> Tensor:
    """Structural similarity (Wang et al. 2004), mean of the three channels.

    Gaussian window of 11 px and sigma 1.5, averaged where the window lies inside the picture. Equals
    `skimage.metrics.structural_similarity(..., channel_axis=2, data_range=1, gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False)` of each pair.

    Args:
        prediction: (B, 3, H, W) in [0, 1], H and W at least 11.
        target: the same shape.

    Returns:
        (B,), at most 1.

    Raises:
        ValueError: for other or unequal shapes, or a picture smaller than the window.
    """
    return ssim_map(*comparable(prediction, target)).mean(dim=(1, 2, 3)).float()


def ssim_y(prediction: Image, target: Image) -> Tensor:
    """SSIM as `ssim` has it, on BT.601 luma (`luma`) with a data range of 255 (BasicSR, SwinIR, WeatherDiffusion).

    Args:
        prediction: (B, 3, H, W) in [0, 1], H and W at least 11.
        target: the same shape.

    Returns:
        (B,), at most 1.

    Raises:
        ValueError: for other or unequal shapes, or a picture smaller than the window.
    """
    return ssim_map(*map(luma, comparable(prediction, target))).mean(dim=(1, 2, 3)).float()


def ssim_3d(prediction: Image, target: Image) -> Tensor:
    """SSIM as MATLAB's `ssim` gives it for an RGB array, which it takes for a volume (H, W, 3).

    The Gaussian window is 11 x 11 x 11, sigma 1.5, with edges replicated on all three axes; mean of the whole
    map. The SSIM on GoPro of MPRNet and Restormer (in MATLAB) and of NAFNet (`ssim3d=True`).

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: the same shape.

    Returns:
        (B,), at most 1.

    Raises:
        ValueError: for other or unequal shapes.
    """
    x, y = (F.pad(side, (WINDOW // 2,) * 4, mode="replicate") for side in comparable(prediction, target))
    return _similarity(x, y, _mean_3d).mean(dim=(1, 2, 3)).float()


def mae(prediction: Image, target: Image) -> Tensor:
    """Mean absolute error over the RGB values, in units of [0, 1] (DPDD).

    Args:
        prediction: (B, 3, H, W) in [0, 1].
        target: the same shape.

    Returns:
        (B,).

    Raises:
        ValueError: for other or unequal shapes.
    """
    prediction, target = comparable(prediction, target)
    return (prediction - target).abs().mean(dim=(1, 2, 3))


def luma(pictures: Image) -> Tensor:
    """BT.601 luma as MATLAB's rgb2ycbcr: (B, 3, H, W) in [0, 1] -> (B, 1, H, W) in [16, 235] / 255, not rounded."""
    weights = pictures.new_tensor(_LUMA).view(3, 1, 1)
    return (pictures * weights).sum(dim=1, keepdim=True) + _BLACK


def ssim_map(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM under the Gaussian window at each place where it lies inside, of a data range of 1.

    Args:
        prediction: (B, C, H, W) float, H and W at least 11; of any range, nothing is clamped.
        target: the same shape.

    Returns:
        (B, C, H - 10, W - 10), float64 on a GPU.

    Raises:
        ValueError: for a picture smaller than the window.
    """
    if min(prediction.shape[-2:]) < WINDOW:
        raise ValueError(
            f"prediction: expected at least {WINDOW} px a side for SSIM, got {tuple(prediction.shape[-2:])}"
        )
    return _similarity(prediction, target, _mean)


def comparable(prediction: Image, target: Image) -> tuple[Image, Image]:
    """Both as float32 clamped to [0, 1], without gradient.

    Raises:
        ValueError: unless both are (B, 3, H, W), of one shape.
    """
    if prediction.shape != target.shape or prediction.ndim != 4 or prediction.shape[1] != 3:
        raise ValueError(
            "prediction, target: expected two batches of one shape (B, 3, H, W), "
            f"got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    return prediction.detach().float().clamp(0, 1), target.detach().float().clamp(0, 1)


def _psnr(prediction: Tensor, target: Tensor) -> Tensor:
    return peak_signal_noise_ratio(prediction, target, data_range=1.0, dim=(1, 2, 3), reduction="none")


def _similarity(x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """The map of SSIM (Wang et al. 2004, Eq. 13) of two batches, `mean` being the weighted mean over the window.

    In strips of rows, whose intermediate results stay in the processor's cache.
    """
    # Variances are differences of near values: on a GPU single precision would do, TF32 would not.
    x, y = (side.double() if side.is_cuda else side.float() for side in (x, y))
    maps = []
    for top in range(0, x.shape[2] - WINDOW + 1, _STRIP):
        u, v = (side[:, :, top : top + _STRIP + WINDOW - 1] for side in (x, y))
        mean_u, mean_v = mean(u), mean(v)
        product = mean_u * mean_v
        squares = mean_u.square() + mean_v.square()
        covariance = mean(u * v) - product
        variances = mean(u.square() + v.square()) - squares
        maps.append((2 * product + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2)))
    return torch.cat(maps, dim=2)


def _mean(x: Tensor) -> Tensor:
    """The 11 x 11 Gaussian mean of (B, C, H, W) wherever the window lies inside."""
    return _mean_along(_mean_along(x, 2), 3)


def _mean_3d(x: Tensor) -> Tensor:
    """As `_mean`, of (B, 3, H, W) taken as volumes whose channels are replicated at their ends."""
    x, reach = _mean(x), WINDOW // 2
    # Along an axis of 3 with its ends replicated the window is a 3 x 3 matrix: what each channel gives to each.
    shares = _mean_along(F.pad(torch.eye(3).to(x), (reach, reach), mode="replicate"), 1)
    return sum(x[:, one : one + 1] * shares[one, :, None, None] for one in range(3))  # type: ignore[return-value]


def _mean_along(x: Tensor, axis: int) -> Tensor:
    """The Gaussian mean along one axis, as a sum of shifted pictures: on CPUs 20 times as fast as a convolution."""
    first, *others = get_gaussian_kernel1d(WINDOW, _SIGMA, dtype=torch.float64)[0].tolist()
    size = x.shape[axis] - WINDOW + 1
    total = x.narrow(axis, 0, size) * first
    for place, weight in enumerate(others, start=1):
        total.add_(x.narrow(axis, place, size), alpha=weight)
    return total
