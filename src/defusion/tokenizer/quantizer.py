"""The codebook: nearest-code quantisation with moving-average codes (paper, Eq. 1).

A compact quantiser of our own instead of `vector-quantize-pytorch`: that one draws its codes from
the global random state and, under CPU autocast, measures distances in bfloat16.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defusion.distributed import is_distributed, of_all_processes
from defusion.random import generator
from defusion.types import Tokens


@dataclass(frozen=True)
class Quantized:
    """The result of quantising N features a sample."""

    tokens: Tokens
    """(B, N, C): the nearest codes; their gradient passes straight through to the features."""
    indices: Tensor
    """(B, N), int64 in [0, K)."""
    commitment: Tensor
    """Scalar: the mean squared distance between the features and their codes."""


class VectorQuantizer(nn.Module):
    """K codes of C dimensions that follow the features by a moving average (VQ-VAE, appendix A.1).

    The moving average stands in for the codebook term of L_VQ, so that only the commitment term is
    left to the optimiser. In training, codes that hardly any feature chooses are dead: they are
    moved onto random features of the batch. A fresh codebook is all dead, so the first batches
    fill it. All of the state is in buffers, so a checkpoint resumes it exactly.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    updates: Tensor

    def __init__(
        self, num_codes: int, channels: int, decay: float = 0.9, dead_below: float = 0.3, seed: int = 0
    ) -> None:
        """Makes an empty codebook.

        Args:
            num_codes: K.
            channels: C.
            decay: of the moving averages, per step.
            dead_below: a code is dead when its mean number of features a step is below this
                share of the even share (features / K).
            seed: with the number of steps so far it fixes which features revive dead codes.
        """
        super().__init__()
        self.decay, self.dead_below, self.seed = decay, dead_below, seed
        self.register_buffer("codebook", torch.zeros(num_codes, channels))
        self.register_buffer("counts", torch.zeros(num_codes))
        self.register_buffer("sums", torch.zeros(num_codes, channels))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def nearest(self, features: Tensor) -> Tensor:
        """The index of the nearest code in Euclidean distance, in float32: (..., C) -> (...)."""
        with torch.autocast(features.device.type, enabled=False):
            flat = features.detach().reshape(-1, features.shape[-1]).float()
            codes = self.codebook.float()
            # ||e - f||^2 without ||f||^2, which is the same for all codes.
            distance = codes.square().sum(1) - 2 * flat @ codes.T
        return distance.argmin(1).reshape(features.shape[:-1])

    def lookup(self, indices: Tensor) -> Tokens:
        """The codes at `indices`: (...) -> (..., C)."""
        return F.embedding(indices, self.codebook)

    def forward(self, features: Tensor) -> Quantized:
        """Quantises (B, N, C) features; in training mode the codebook then follows them."""
        features = features.float()
        indices = self.nearest(features)
        codes = self.lookup(indices)
        if self.training:
            self._follow(features.detach(), indices.reshape(-1))
        return Quantized(
            tokens=codes + (features - features.detach()),
            indices=indices,
            commitment=F.mse_loss(features, codes),
        )

    @torch.no_grad()
    def _follow(self, samples: Tensor, indices: Tensor) -> None:
        """Moves the codes after features (B, N, C), which chose the codes at `indices`, of all processes."""
        features = samples.reshape(-1, samples.shape[-1])
        counts = torch.zeros_like(self.counts).index_add_(0, indices, torch.ones_like(features[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, indices, features)
        if is_distributed():
            torch.distributed.all_reduce(counts)
            torch.distributed.all_reduce(sums)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        self._revive(samples, even_share=float(counts.sum()) / len(self.counts))
        self.codebook.copy_(self.sums / self.counts.clamp(min=1e-12)[:, None])
        self.updates += 1

    def _revive(self, samples: Tensor, even_share: float) -> None:
        """Moves dead codes onto distinct features, as if they had been chosen an even share of times."""
        dead = (self.counts < self.dead_below * even_share).nonzero()[:, 0]
        if not len(dead):
            return
        features = of_all_processes(samples).flatten(0, -2)
        order = torch.randperm(len(features), generator=generator(self.seed, int(self.updates)))
        dead = dead[: len(features)]
        reborn = features[order[: len(dead)].to(features.device)]
        self.counts[dead] = even_share
        self.sums[dead] = even_share * reborn
