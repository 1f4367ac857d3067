"""Made-up outcomes that the tests of the reports share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from defusion.evaluation.outcome import Measured, Outcome


def made(gains: Sequence[float] = (1.5, -0.25, 3.0), names: Sequence[str] = (), **fields: Any) -> Outcome:
    """An outcome with these gains in PSNR, its inputs at 20 dB."""
    named = names or [f"scene/{number:04d}" for number in range(len(gains))]
    pictures = tuple(
        Measured(name, {"psnr": 20.0, "ssim": 0.5}, {"psnr": 20.0 + gain, "ssim": 0.75}, 0.25)
        for name, gain in zip(named, gains, strict=True)
    )
    given: dict[str, Any] = {
        "task": "gopro",
        "dataset": "GoPro (Nah et al., CVPR 2017)",
        "protocol": "PSNR RGB; SSIM 3d, MATLAB's window.",
        "weights": "runs/diffusion/nano/weights",
        "sha256": "0123456789abcdef" * 4,
        "steps": 1,
        "seed": 7,
        "instruction": "motion_blur at severity 0.5",
        "layout": "test/{scene}/blur/{name}",
        "published": "GoPro",
    }
    return Outcome(**{"per_image": pictures} | given | fields)


WHOLE = made(expected=3)
STANDIN = made(task="sidd", dataset="stand-in for SIDD", expected=1280, standin=True, published="SIDD")
SUBSET = made(task="dpdd", dataset="DPDD", expected=76, subset=True, published="DPDD")
SURPLUS = made(task="live1", dataset="LIVE1", expected=2, published="LIVE1")
OTHER = made(task="hide", dataset="HIDE", published=None)
UNFIXED = made(task="realsnow", dataset="RealSnow", published="RealSnow")
ORACLE = made(task="rain1400", dataset="Rain1400", expected=3, kind="oracle", published="Rain1400")
MATCHED = made(task="cbsd68", dataset="CBSD68", expected=3, kind="parameter-matched", published="CBSD68")
NOT_COMPARABLE = (STANDIN, SUBSET, SURPLUS, OTHER, UNFIXED, ORACLE, MATCHED)


def pictures(outcome: Outcome, number: int, height: int = 40, width: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """lq, restored and hq, drawn anew for each number."""
    own = torch.Generator().manual_seed(number)
    lq, hq = torch.rand(2, 3, height, width, generator=own)
    return lq, (lq + hq) / 2, hq
