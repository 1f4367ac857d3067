"""The public interface of a trained model: a degraded picture and an instruction in, a picture out."""

from pathlib import Path

import torch

from defusion.diffusion.model import Defusion
from defusion.diffusion.sampler import Sampler
from defusion.grounds.chart import Chart
from defusion.instruction import VisualInstruction
from defusion.precision import autocast, default_device
from defusion.pretrained import find
from defusion.random import generator
from defusion.types import Image


class Restorer:
    """Removes from pictures what a visual instruction shows.

    Args:
        model: a trained network.
        device: where to run; the CUDA device where there is one by default.
    """

    def __init__(self, model: Defusion, device: torch.device | str | None = None) -> None:
        self.device = torch.device(device) if device is not None else default_device()
        self.model = model.eval().to(self.device)
        self.model.unet.to(memory_format=torch.channels_last)
        known = model.tokenizer.config
        self.chart = Chart(known.ground_size, known.ground_kind)

    @classmethod
    def from_pretrained(cls, weights: Path | str = "small", device: torch.device | str | None = None) -> "Restorer":
        """Reads trained weights (safetensors and JSON).

        Args:
            weights: the name of a shipped model, or a folder written in training.
            device: where to run; the CUDA device where there is one by default.

        Raises:
            WeightsError: when there are none, or a file is missing, damaged, or does not fit the others.
        """
        return cls(Defusion.load(find(weights)), device)

    def instruction(self, instruction: VisualInstruction | str, seed: int = 0) -> VisualInstruction:
        """The instruction of a name ("rain+noise", "clean") on the canonical chart, others as they are.

        Raises:
            ValueError: for an unknown name.
        """
        if isinstance(instruction, VisualInstruction):
            return instruction
        return VisualInstruction.named(instruction, self.chart, seed)

    @torch.inference_mode()
    def __call__(
        self,
        lq: Image,
        instruction: VisualInstruction | str,
        steps: int = 1,
        sampler: Sampler = "ddim",
        seed: int = 0,
    ) -> Image:
        """Restores pictures of one size.

        Args:
            lq: (B, 3, H, W) in [0, 1], any size; a network's stride is padded and cropped.
            instruction: what to remove.
            steps: network evaluations, at least 1.
            sampler: "ddim" or "sde".
            seed: of the diffusion noise (and of the instruction's, when it is a name).

        Returns:
            (B, 3, H, W) in [0, 1], float32, on the CPU.
        """
        shown = self.instruction(instruction, seed)
        pictures = lq.to(self.device).contiguous(memory_format=torch.channels_last)
        draws = [generator(seed, row, device=self.device) for row in range(len(lq))]
        with autocast(self.device):
            tokens = self.model.tokens(shown.ground.to(self.device), shown.picture.to(self.device), (shown.shown,))
            if tokens is not None:
                tokens = tokens.expand(len(lq), -1, -1)
            restored = self.model.restore(pictures, tokens, draws, steps, sampler)
        return restored.float().cpu().contiguous()
