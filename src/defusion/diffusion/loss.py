"""Training objectives of the degradation diffusion."""

from typing import Literal

from torch import Tensor

Objective = Literal["mse", "log_mse"]

LOG_FLOOR = 1e-4
"""Added to a sample's error before the logarithm: below it (in units of the network's output) an
error is as good as none, so that samples with nothing to remove cannot outweigh the others."""


def objective(prediction: Tensor, target: Tensor, kind: Objective) -> Tensor:
    """The loss of each sample, (B, C, H, W) x 2 -> (B,).

    "mse" is the paper's (Eq. 11, uniform weight). "log_mse" is ours: log(MSE + 1e-4) of each sample,
    which is its PSNR up to sign and scale, so that the large residuals of haze or low light do not
    drown the small ones of blur or JPEG.
    """
    error = (prediction - target).square().flatten(1).mean(1)
    return error if kind == "mse" else (error + LOG_FLOOR).log()
