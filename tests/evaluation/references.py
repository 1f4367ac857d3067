"""The field's metrics written out again in numpy, scikit-image and OpenCV, in double precision, to test ours by."""

import math
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from defusion.tokenizer.loss import PerceptualConfig, PerceptualLoss

Array = NDArray[Any]


def pair(height: int, width: int, strength: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A noisy picture and its reference, (2, 3, H, W), the second pair harder than the first."""
    own = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, height, width, generator=own)
    noise = torch.randn(target.shape, generator=own) * torch.tensor([strength, 3 * strength])[:, None, None, None]
    return (target + noise).clamp(0, 1), target


def photographs(height: int, width: int) -> Tensor:
    """Three photographs, (3, 3, height, width) in [0, 1]."""
    pictures = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    crops = [picture[40 : 40 + height, 60 : 60 + width, :3] for picture in pictures]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def degraded(kind: str, target: Tensor) -> Tensor:
    """Some harm to pictures in [0, 1]."""
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    return {
        "noise": (target + 25 / 255 * noise).clamp(0, 1),
        "blur": torch.nn.functional.avg_pool2d(target, 5, stride=1, padding=2),
        "dark": target**3,
        "tint": (target * torch.tensor([1.0, 0.8, 0.5])[:, None, None]),
        "near": (target + 1e-3 * noise).clamp(0, 1),
    }[kind]


def array(picture: Tensor) -> Array:
    """(3, H, W) to (H, W, 3) in double precision."""
    return picture.permute(1, 2, 0).double().numpy()


def metric(name: str, prediction: Tensor, target: Tensor) -> list[float]:
    """The metric of each pair of two batches (B, 3, H, W)."""
    return [_METRICS[name](array(a), array(b)) for a, b in zip(prediction, target, strict=True)]


def _psnr(a: Array, b: Array) -> float:
    return float(peak_signal_noise_ratio(b, a, data_range=1))


def _ssim(a: Array, b: Array) -> float:
    channels = 2 if a.ndim == 3 else None
    return float(
        structural_similarity(
            a, b, channel_axis=channels, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def _luma(picture: Array) -> Array:
    return np.asarray(rgb2ycbcr(picture))[..., 0] / 255


def _ssim_3d(a: Array, b: Array) -> float:
    """NAFNet's `_ssim_3d` in double precision: a dense convolution over the volume (H, W, 3), its ends replicated."""
    line = cv2.getGaussianKernel(11, 1.5)[:, 0]
    volume = line[:, None, None] * line[None, :, None] * line[None, None, :]

    def blur(x: Array) -> Array:
        return np.asarray(correlate(x, volume, mode="nearest"))

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)).mean())


_METRICS = {
    "psnr_rgb": _psnr,
    "psnr_y": lambda a, b: _psnr(_luma(a), _luma(b)),
    "ssim_rgb": _ssim,
    "ssim_y": lambda a, b: _ssim(_luma(a), _luma(b)),
    "ssim_3d": _ssim_3d,
    "mae": lambda a, b: float(np.abs(a - b).mean()),
}


def realblur(deblurred: Tensor, reference: Tensor) -> tuple[float, float]:
    """PSNR and SSIM of (3, H, W) by the steps of RealBlur's evaluation_RealBlur_ecc.py, in its single precision."""
    z, x = (picture.permute(1, 2, 0).contiguous().numpy() for picture in (deblurred, reference))
    zs = (np.sum(x * z) / np.sum(z * z)) * z
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    grey_x, grey_z = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (x, zs))
    start = np.eye(3, 3, dtype=np.float32)
    _, warp = cv2.findTransformECC(  # type: ignore[call-overload]  # its stubs do not know that None is no mask
        grey_x, grey_z, start, cv2.MOTION_HOMOGRAPHY, criteria, inputMask=None, gaussFiltSize=5
    )
    size = (x.shape[1], x.shape[0])
    flags = cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP
    zr = cv2.warpPerspective(zs, warp, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    flags = cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP
    ones = np.ones_like(zs, dtype="float32")
    cr = cv2.warpPerspective(ones, warp, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    zr, xr = zr * cr, x * cr
    error = np.sum((xr - zr) ** 2, dtype=np.float64) / np.sum(cr)
    _, similarity = structural_similarity(
        xr, zr, channel_axis=2, gaussian_weights=True, use_sample_covariance=False, data_range=1.0, full=True
    )
    inside, mask = (similarity * cr)[5:-5, 5:-5], cr[5:-5, 5:-5]
    structure = np.mean(inside.sum(axis=0).sum(axis=0) / mask.sum(axis=0).sum(axis=0))
    return 10 * math.log10(1 / error), float(structure)


def alexnet() -> Path:
    """The AlexNet of LPIPS; a test that asks for it is skipped where it is not there."""
    shared = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
    weights = shared / "lpips" / "alexnet_features_fp16.safetensors"
    if not weights.is_file():
        pytest.skip(f"no LPIPS backbone at {weights}")
    return weights


def perceptual() -> PerceptualLoss:
    """Our LPIPS with it."""
    return PerceptualLoss(PerceptualConfig(network="alex", weights=str(alexnet())))
