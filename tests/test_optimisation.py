"""Muon: orthogonal updates of AdamW's size, kernels as matrices, one state for both halves, exact resumption."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from defusion.optimisation import Muon, lay_out, named_optimizer, orthogonalised
from defusion.random import generator


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.hidden = nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.hidden(self.first(x))
        return result


def network() -> Layers:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Layers()


def optimiser(layers: Layers, lr: float = 0.01, weight_decay: float = 0.0) -> Muon:
    own = dict(layers.named_parameters())
    return Muon([own.pop("hidden.weight")], own.values(), lr, weight_decay)


def run(layers: Layers, optimizer: Muon, steps: range) -> None:
    for step in steps:
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        layers(x).square().mean().backward()
        optimizer.step()


def weights(layers: Layers) -> list[Tensor]:
    return [own.detach().clone() for own in layers.parameters()]


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 40, 8), (1, 16, 16)])
def test_singular_values_become_about_one(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    values = torch.linalg.svdvals(orthogonalised(x))
    assert values.max() < 1.3
    assert values.quantile(0.2) > 0.6


def test_an_update_has_the_size_of_adamws() -> None:
    layers = network()
    before = layers.hidden.weight.detach().clone()
    run(layers, optimiser(layers), range(1))
    change = (layers.hidden.weight.detach() - before).square().mean().sqrt() / 0.01
    assert 0.1 < change < 0.3


def test_it_lowers_the_loss_of_all_parameters() -> None:
    layers = network()
    before = weights(layers)
    run(layers, optimiser(layers), range(30))
    assert all(not torch.equal(old, new) for old, new in zip(before, weights(layers), strict=True))
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert layers(x).square().mean() < 0.1 * network()(x).square().mean()


def test_weight_decay_acts_on_matrices_and_on_the_rest() -> None:
    plain, decayed = network(), network()
    run(plain, optimiser(plain), range(1))
    run(decayed, optimiser(decayed, weight_decay=0.5), range(1))
    for old, one, other in zip(weights(network()), weights(plain), weights(decayed), strict=True):
        assert torch.allclose(one - other, 0.005 * old, atol=1e-6)


def test_a_loaded_state_goes_on_to_the_last_bit() -> None:
    whole, parts = network(), network()
    run(whole, optimiser(whole), range(6))
    first = optimiser(parts)
    run(parts, first, range(3))
    second = optimiser(parts)
    second.load_state_dict(first.state_dict())
    run(parts, second, range(3, 6))
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(parts), strict=True))


def test_a_learning_rate_schedule_moves_both_halves() -> None:
    layers = network()
    optimizer = optimiser(layers)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    before = weights(layers)
    run(layers, optimizer, range(1))
    assert all(torch.equal(old, new) for old, new in zip(before, weights(layers), strict=True))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_state_is_laid_out_as_its_parameter(name: Literal["adamw", "muon"]) -> None:
    """Fused optimisers do not look: a state of another layout would be mixed up with the wrong weights."""
    kernel = torch.rand(8, 4, 3, 3, generator=generator(0))
    steps = []
    for first, second in ((torch.contiguous_format,) * 2, (torch.contiguous_format, torch.channels_last)):
        own = nn.Parameter(kernel.clone(memory_format=first))
        bias = nn.Parameter(torch.zeros(3))
        optimizer = named_optimizer(name, [own, bias], [own], 0.1)
        own.grad = torch.rand(own.shape, generator=generator(1))
        optimizer.step()
        again = nn.Parameter(own.detach().clone(memory_format=second))
        other = named_optimizer(name, [again, bias], [again], 0.1)
        other.register_load_state_dict_post_hook(lay_out)
        other.load_state_dict(optimizer.state_dict())
        again.grad = torch.rand(own.shape, generator=generator(2)).to(memory_format=second)
        other.step()
        steps.append(again.detach())
    assert torch.allclose(steps[0], steps[1], atol=1e-5)
