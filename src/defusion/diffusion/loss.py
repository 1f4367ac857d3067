"""Training objectives of the degradation diffusion."""

from typing import Literal

from torch import Tensor

Objective = Literal["mse", "rmse"]

SMALLEST_ERROR = 0.02
"""Of "rmse", in units of y_0: below it the loss is quadratic, so that it is smooth at zero."""


def objective(prediction: Tensor, target: Tensor, kind: Objective) -> Tensor:
    """The loss of each sample, (B, C, H, W) x 2 -> (B,).

    "mse" is the paper's (Eq. 11, uniform weight). "rmse" is ours: the root of a sample's mean square
    error, whose gradient has the same size for every sample. Under MSE the large residuals of haze
    or low light drown the small ones of blur or JPEG; under errors relative to the residual (or their
    logarithm) the small ones, and instructions that ask for nothing, hold the network at zero.
    """
    error = (prediction - target).square().flatten(1).mean(1)
    return error if kind == "mse" else (error + SMALLEST_ERROR**2).sqrt()
