"""The U-Net: zero initialisation, what reaches the output, sizes, ablation arguments."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from defusion.unet.adapter import PooledInstruction, VisualInstructionAdapter
from defusion.unet.blocks import Attention, Block, channel_norm
from defusion.unet.bridge import ImageRestorationBridge
from defusion.unet.unet import UNet, UNetConfig

CONFIG = UNetConfig(channels=(16, 32), blocks=1, token_channels=16, adapter_levels=(1,))


def pictures(n: int = 2, height: int = 16, width: int = 24) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


def awake(config: UNetConfig) -> UNet:
    """A network with every parameter drawn at random."""
    net = UNet(config)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draw))
    return net


def test_an_untrained_network_predicts_zero() -> None:
    assert UNet(CONFIG)(pictures(), torch.ones(2), pictures(), torch.randn(2, 4, 16)).abs().max() == 0


def test_an_untrained_block_is_the_identity() -> None:
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(Block(16, 32, bridge=True)(x, torch.randn(2, 32), torch.randn(2, 16, 8, 8)), x)


def test_channel_norm_does_not_depend_on_the_rest_of_the_picture() -> None:
    x = torch.randn(1, 16, 8, 8)
    assert torch.allclose(channel_norm(x)[..., :4, :4], channel_norm(x[..., :4, :4]), atol=1e-6)


@pytest.mark.parametrize("bridge", ["adaln", "decoder", "none"])
def test_lq_time_and_tokens_reach_the_output(bridge: Literal["adaln", "decoder", "none"]) -> None:
    net = awake(replace(CONFIG, bridge=bridge))
    y, lq, t = pictures(), pictures().flip(3), torch.full((2,), 0.5)
    tokens = torch.randn(2, 4, 16)
    out = net(y, t, lq, tokens)
    for other in (net(y, t, lq.flip(2), tokens), net(y, t + 0.3, lq, tokens), net(y, t, lq, 2 * tokens)):
        assert (other - out).abs().max() > 1e-4


@pytest.mark.parametrize("concatenate", [True, False])
@pytest.mark.parametrize("gate", [True, False])
def test_every_parameter_gets_a_gradient(concatenate: bool, gate: bool) -> None:
    net = awake(replace(CONFIG, concatenate=concatenate, gate=gate, text_channels=8, attention_levels=(1,)))
    net(pictures(), torch.rand(2), pictures(), torch.randn(2, 4, 16), torch.randn(2, 5, 8)).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize("gate", [True, False])
def test_null_tokens_are_the_same_as_none_and_close_the_gate(gate: bool) -> None:
    net = awake(replace(CONFIG, gate=gate))
    y, lq, t = pictures(), pictures(), torch.ones(2)
    null = net(y, t, lq, torch.zeros(2, 4, 16))
    assert torch.equal(null, net(y, t, lq, None))
    assert (null.abs().max() == 0) == gate


def test_pooled_instructions_are_heard_alike_however_few_tokens_they_change() -> None:
    pool = PooledInstruction(16, 32)
    few = torch.zeros(1, 64, 16)
    few[:, :3] = torch.randn(1, 3, 16)
    faint, loud = pool(few), pool(torch.randn(1, 64, 16))
    assert 0.5 < faint.norm() / loud.norm() < 2
    assert pool(torch.zeros(1, 64, 16)).abs().max() == 0


def test_null_tokens_give_finite_gradients() -> None:
    net = awake(CONFIG)
    tokens = torch.zeros(2, 4, 16, requires_grad=True)
    net(pictures(), torch.ones(2), pictures(), tokens).sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()


def test_the_adapter_adds_text_and_instruction_beside_each_other() -> None:
    adapter = VisualInstructionAdapter(16, 16, text_channels=8)
    assert adapter.text is not None
    for attention in (adapter.visual, adapter.text):
        torch.nn.init.normal_(attention.get_parameter("out.weight"))
    x, tokens, text = torch.randn(1, 16, 4, 4), torch.randn(1, 3, 16), torch.randn(1, 5, 8)
    both = adapter(x, tokens, text) - x
    assert torch.allclose(both, adapter(x, tokens, None) - x + adapter(x, None, text) - x, atol=1e-5)


def test_attention_matches_its_formula() -> None:
    attention = Attention(16, 8, head_channels=16)
    torch.nn.init.normal_(attention.get_parameter("out.weight"))
    x, context = torch.randn(1, 16, 2, 2), torch.randn(1, 3, 8)
    rows = channel_norm(x).flatten(2).transpose(1, 2)
    scores = attention.query(rows) @ attention.key(context).transpose(1, 2) / 4
    expected = attention.out(scores.softmax(-1) @ attention.value(context))
    assert torch.allclose(attention(x, context).flatten(2).transpose(1, 2), expected, atol=1e-5)


def test_the_bridge_gives_a_map_a_level() -> None:
    maps = ImageRestorationBridge((16, 32, 48), patch=2)(pictures(1, 32, 48))
    assert [tuple(x.shape) for x in maps] == [(1, 16, 16, 24), (1, 32, 8, 12), (1, 48, 4, 6)]


def test_features_computed_once_give_the_same() -> None:
    net = awake(CONFIG)
    y, lq, t = pictures(), pictures(), torch.ones(2)
    tokens = torch.randn(2, 4, 16)
    assert torch.equal(net(y, t, lq, tokens, features=net.features(lq)), net(y, t, lq, tokens))


def test_a_crop_deep_inside_is_restored_as_in_the_whole() -> None:
    """Without global operations the network is the same on crops and on whole pictures."""
    net = awake(CONFIG)
    y, lq = pictures(1, 96, 96), pictures(1, 96, 96).flip(2)
    tokens = torch.randn(1, 4, 16)
    whole = net(y, torch.ones(1), lq, tokens)[..., 40:56, 40:56]
    crop = net(y[..., 8:88, 8:88], torch.ones(1), lq[..., 8:88, 8:88], tokens)[..., 32:48, 32:48]
    assert whole.abs().max() > 0
    assert torch.allclose(whole, crop, atol=1e-5)


def test_wrong_sizes_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        UNet(CONFIG)(pictures(1, 18, 16), torch.ones(1), pictures(1, 18, 16))
    with pytest.raises(ValueError, match="adapter_levels"):
        replace(CONFIG, adapter_levels=(2,))
    with pytest.raises(ValueError, match="gate=True needs pool=True"):
        replace(CONFIG, pool=False)
    with pytest.raises(ValueError, match="never sees lq"):
        replace(CONFIG, bridge="none", concatenate=False)
