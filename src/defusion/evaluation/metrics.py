"""The metrics of the field, of each picture by itself: PSNR, SSIM, MAE, each in the variants that papers report.

Every function takes two batches (B, 3, H, W), sRGB, clamped to [0, 1] here, gives (B,) float32, and is
symmetric. `evaluation.protocol.Protocol` says which of them a test set is scored by.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from kornia.metrics import ssim as gaussian_ssim
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
    x, y = map(_precise, comparable(prediction, target))
    with torch.autocast(x.device.type, enabled=False):
        mean_x, mean_y = _blur_3d(x), _blur_3d(y)
        product = mean_x * mean_y
        squares = mean_x.square() + mean_y.square()
        covariance = _blur_3d(x * y) - product
        variances = _blur_3d(x.square() + y.square()) - squares
    similarity = (2 * product + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))
    return similarity.mean(dim=(1, 2, 3)).float()


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
    similarity: Tensor = gaussian_ssim(_precise(prediction), _precise(target), WINDOW, eps=0.0, padding="valid")
    return similarity


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


def _precise(x: Tensor) -> Tensor:
    """Variances are differences of near values: TF32 convolutions on a GPU would spoil them."""
    return x.double() if x.is_cuda else x.float()


def _blur_3d(x: Tensor) -> Tensor:
    """The 11 x 11 x 11 Gaussian mean of (B, 3, H, W) taken as volumes, one axis after the other."""
    kernel = get_gaussian_kernel1d(WINDOW, _SIGMA, device=x.device, dtype=x.dtype)
    x = filter2d_separable(x, kernel, kernel, border_type="replicate")
    # Of an axis of 3 with its ends replicated the window is a 3 x 3 matrix, (from, to).
    ends = F.pad(torch.eye(3, device=x.device, dtype=x.dtype), (WINDOW // 2, WINDOW // 2), mode="replicate")
    return torch.einsum("st,bshw->bthw", ends.unfold(1, WINDOW, 1) @ kernel[0], x)
