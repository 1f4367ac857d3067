"""Small networks that the tests share."""

from pathlib import Path

import pytest
import torch

from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.unet.unet import UNetConfig

TINY_TOKENIZER = TokenizerConfig(ground_size=32, channels=(16, 16), num_codes=16, token_channels=16)
TINY_UNET = UNetConfig(channels=(16, 32), blocks=1, token_channels=16, adapter_levels=(1,))


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A tiny one."""
    return filled(TINY_TOKENIZER)


@pytest.fixture
def model(tokenizer: Tokenizer) -> Defusion:
    """A network whose zero-initialised layers are randomised, so that everything has an effect."""
    return randomised(Defusion(DefusionConfig(unet=TINY_UNET), tokenizer))


@pytest.fixture
def weights(model: Defusion, tmp_path: Path) -> Path:
    """The network on the disk."""
    return model.save(tmp_path / "weights")


def filled(config: TokenizerConfig) -> Tokenizer:
    """An untrained tokenizer whose codebook is filled, so that instructions differ: else nothing is learnt by them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = Tokenizer(config)
    draw = torch.Generator().manual_seed(0)
    tokenizer.quantizer.codebook.copy_(torch.randn(tokenizer.quantizer.codebook.shape, generator=draw))
    return tokenizer.eval()


def randomised(model: Defusion) -> Defusion:
    """The network with every trained parameter drawn anew, small."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.unet.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=draw))
    return model.eval()
