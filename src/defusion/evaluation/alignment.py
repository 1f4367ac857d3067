"""Scores of restorations aligned to their references, as RealBlur takes them (Rim et al., ECCV 2020).

The references of RealBlur come from a second camera, so that a perfect restoration may still be shifted and of
another brightness. Its `evaluation_RealBlur_ecc.py` scales and aligns the restoration first, after Köhler et al.
(ECCV 2012), and leaves out what the alignment does not cover.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from defusion.evaluation.metrics import WINDOW, ssim_map

_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
"""100 iterations: no change of the correlation is small enough to stop before."""

_GAUSSIAN = 5
_RADIUS = WINDOW // 2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Aligned:
    """A restoration aligned to its reference, both zero where the mask is.

    Attributes:
        prediction: (3, H, W) float32, scaled and warped, not clipped to [0, 1].
        target: (3, H, W) float32 in [0, 1].
        mask: (H, W) float32, one where the warped restoration is known, else zero.
    """

    prediction: Tensor
    target: Tensor
    mask: Tensor


def align(prediction: Tensor, target: Tensor, name: str) -> Aligned:
    """Scales a restoration to its reference's intensity and aligns it by a homography (ECC, OpenCV).

    Where ECC does not converge (flat pictures, or nothing in common) the restoration is scaled but stays in its
    place, and a warning names the picture: one bad picture costs its own score, not the whole evaluation. The
    official script would stop there.

    Always 100 iterations, of which the last counts, as in the script. On small pictures with little texture (seen
    up to 128 px a side) they may leave the optimum again, with OpenCV 4.5 as with 5.0, and then differ between
    versions; from 256 px on, both gave the same PSNR within 0.02 dB. The script itself demands OpenCV 4.2.

    Args:
        prediction: (3, H, W) in [0, 1], at least 11 px a side.
        target: the same shape.
        name: of the picture, for the warning.

    Returns:
        Both on the CPU.

    Raises:
        ValueError: for other or unequal shapes.
    """
    if prediction.shape != target.shape or prediction.ndim != 3 or len(prediction) != 3:
        raise ValueError(
            "prediction, target: expected two pictures of one shape (3, H, W), "
            f"got {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    if min(prediction.shape[-2:]) < WINDOW:
        raise ValueError(
            f"prediction: expected at least {WINDOW} px a side to align, got {tuple(prediction.shape[-2:])}"
        )
    reference = _array(target)
    scaled = _scaled(_array(prediction), reference)
    warp = _homography(scaled, reference)
    moved, mask = _warped(scaled, warp) if warp is not None else (scaled, np.ones(scaled.shape[:2], np.float32))
    if warp is None or not mask[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].any():
        warnings.warn(
            f"picture {name}: ECC did not converge; scored without alignment, with its intensity scaled",
            RuntimeWarning,
            stacklevel=2,
        )
        moved, mask = scaled, np.ones_like(mask)
    return Aligned(_tensor(moved * mask[..., None]), _tensor(reference * mask[..., None]), torch.from_numpy(mask))


def masked_psnr(pair: Aligned) -> Tensor:
    """PSNR over the RGB values inside the mask, in dB, infinite for equal pictures: a scalar, float32."""
    error = (pair.prediction.double() - pair.target.double()).square().sum() / (3 * pair.mask.double().sum())
    return (-10 * error.log10()).float()


def masked_ssim(pair: Aligned) -> Tensor:
    """SSIM under the Gaussian window, averaged inside the mask where the window lies inside the picture: a scalar."""
    similarity = ssim_map(pair.prediction[None], pair.target[None])[0].double()
    mask = pair.mask[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].double()
    return ((similarity * mask).sum(dim=(1, 2)) / mask.sum()).mean().float()


def _scaled(prediction: Array, target: Array) -> Array:
    """The multiple of the prediction nearest to the target; a black one has none and stays.

    In single precision, as the script has it: where ECC is unstable (see `align`) a last bit shows in the score.
    """
    energy = np.sum(prediction * prediction)
    return prediction * (np.sum(prediction * target) / energy) if energy > 0 else prediction


def _homography(prediction: Array, target: Array) -> Array | None:
    """The warp from the target's coordinates to the prediction's, (3, 3); None where ECC does not converge."""
    template, moving = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (target, prediction))
    start = np.eye(3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(  # type: ignore[call-overload]  # its stubs do not know that None is no mask
            template, moving, start, cv2.MOTION_HOMOGRAPHY, _STOP, None, _GAUSSIAN
        )
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return None
    found: Array = warp
    return found if np.isfinite(found).all() else None


def _warped(picture: Array, warp: Array) -> tuple[Array, Array]:
    """The picture (H, W, 3) in the target's coordinates, and the mask (H, W) of what is known of it."""
    size = picture.shape[1::-1]
    cubic, nearest = (flag | cv2.WARP_INVERSE_MAP for flag in (cv2.INTER_CUBIC, cv2.INTER_NEAREST))
    moved: Any = cv2.warpPerspective(picture, warp, size, flags=cubic, borderMode=cv2.BORDER_REFLECT)
    ones = np.ones(picture.shape[:2], np.float32)
    mask: Any = cv2.warpPerspective(ones, warp, size, flags=nearest, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return moved, mask


def _array(picture: Tensor) -> Array:
    """(3, H, W) to (H, W, 3), as OpenCV has pictures."""
    return np.ascontiguousarray(picture.detach().float().cpu().permute(1, 2, 0).numpy())


def _tensor(picture: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
