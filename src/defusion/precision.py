"""bf16 where the hardware computes in it."""

from contextlib import AbstractContextManager, nullcontext

import torch


def has_bf16(device: torch.device | str) -> bool:
    """Whether matrix products in bf16 run natively on the device."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.device(device).type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(device: torch.device | str) -> AbstractContextManager[object]:
    """bf16 autocast on hardware that has it, full precision elsewhere."""
    if has_bf16(device):
        return torch.autocast(torch.device(device).type, torch.bfloat16)
    return nullcontext()


def default_device() -> torch.device:
    """The CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
