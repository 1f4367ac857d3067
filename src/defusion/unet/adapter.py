"""VIA, the Visual Instruction Adapter: cross-attention to the degradation tokens (paper, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defusion.types import Tokens
from defusion.unet.blocks import Attention

_QUIET = 1e-3
"""Root mean square of pooled tokens below which an instruction fades to nothing."""


class VisualInstructionAdapter(nn.Module):
    """A copy of the text cross-attention whose keys and values are the degradation tokens.

    Its result is added beside that of the text cross-attention, as in IP-Adapter (Ye et al.,
    2023), so that text keeps working. With null tokens (all zero) or no tokens it adds exactly zero.
    """

    def __init__(self, channels: int, token_channels: int, text_channels: int | None) -> None:
        super().__init__()
        self.visual = Attention(channels, token_channels)
        self.text = Attention(channels, text_channels) if text_channels else None

    def forward(self, x: Tensor, tokens: Tokens | None, text: Tensor | None) -> Tensor:
        """x (B, C, H, W), tokens (B, N, token_channels), text (B, M, text_channels) -> (B, C, H, W)."""
        result = x
        if tokens is not None:
            result = result + self.visual(x, tokens)
        if self.text is not None and text is not None:
            result = result + self.text(x, text)
        return result


class PooledInstruction(nn.Module):
    """The instruction as one vector, added to the time embedding and so to the AdaLN of every block.

    Ours beside the paper's VIA, as SDXL adds its pooled text (Podell et al., 2024): a mean over the
    tokens of a small network of each, at one root mean square: noise or JPEG change few tokens of the
    chart, haze all of them, and the network must hear both. Without biases, so that null tokens give
    exactly zero.
    """

    def __init__(self, token_channels: int, channels: int) -> None:
        super().__init__()
        self.each = nn.Linear(token_channels, channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)

    def forward(self, tokens: Tokens) -> Tensor:
        """(B, N, token_channels) -> (B, channels)."""
        mean = F.silu(self.each(tokens)).mean(1)
        return self.out(mean * torch.rsqrt(mean.square().mean(1, keepdim=True) + _QUIET**2))
