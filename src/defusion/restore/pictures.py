"""Pictures in whatever form people have them, as one batch of floats."""

from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from defusion.imageio import as_picture, to_tensor
from defusion.restore.stored import read_stored
from defusion.types import Image

PictureLike: TypeAlias = Tensor | NDArray[Any] | PillowImage.Image | str | PathLike[str]
"""A tensor (3, H, W) or (B, 3, H, W), an array (H, W, 3), (B, H, W, 3) or (H, W), floats in [0, 1] or uint8 or uint16;
Pillow's; or a file."""


def as_batch(picture: PictureLike, name: str = "picture") -> tuple[Image, bool]:
    """One or several pictures, (B, 3, H, W) in [0, 1], float32, on the CPU, and whether they came as a batch.

    Args:
        picture: see `PictureLike`; Pillow's pictures become sRGB as by `defusion.imageio.read_image`, files as by
            `defusion.restore.stored.read_stored`, with their 16 bits.
        name: what errors call it.

    Raises:
        ValueError: for another shape, kind of number or range of values, or values that are no numbers.
        ImageError: for a file that is not a usable picture.
    """
    if isinstance(picture, str | PathLike):
        return _of_array(read_stored(str(picture)).samples, name)[None], False
    if isinstance(picture, PillowImage.Image):
        return to_tensor(as_picture(picture))[None], False
    if isinstance(picture, np.ndarray):
        if picture.ndim == 4 and len(picture):
            return torch.stack([_of_array(own, name) for own in picture]), True
        return _of_array(picture, name)[None], False
    if not isinstance(picture, Tensor):
        raise ValueError(
            f"{name}: expected a tensor, an array, a Pillow picture or the path of a file, got {type(picture).__name__}"
        )
    if picture.ndim not in (3, 4) or picture.shape[-3] != 3 or not picture.numel():
        raise ValueError(f"{name}: expected a tensor (3, H, W) or (B, 3, H, W), got {tuple(picture.shape)}")
    batched = picture.ndim == 4
    return _checked(picture if batched else picture[None], name), batched


def _of_array(array: NDArray[Any], name: str) -> Tensor:
    """(H, W, 3) or (H, W) -> (3, H, W)."""
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(
            f"{name}: expected an array (H, W, 3), (B, H, W, 3) or (H, W), got {array.shape}: "
            "give pictures without transparency, channels last"
        )
    if array.dtype == np.uint16:
        array = array.astype(np.float32) / 65535
    elif array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name}: expected uint8, uint16 or floats, got {array.dtype}")
    return _checked(torch.from_numpy(np.array(array.transpose(2, 0, 1), order="C")), name)


def _checked(picture: Tensor, name: str) -> Tensor:
    """As float32 in [0, 1]."""
    if picture.dtype in _LEVELS:
        return picture.detach().cpu().float() / _LEVELS[picture.dtype]
    if not picture.is_floating_point():
        raise ValueError(f"{name}: expected uint8, uint16 or floats in [0, 1], got {picture.dtype}")
    picture = picture.detach().cpu().float()
    low, high = float(picture.min()), float(picture.max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # NaN is neither
        raise ValueError(f"{name}: expected values in [0, 1], got [{low:g}, {high:g}]: divide 8-bit pictures by 255")
    return picture.clamp(0, 1)


_LEVELS = {torch.uint8: 255, torch.uint16: 65535}
_SLACK = 1e-3
"""By how much rounding may leave [0, 1]."""
