"""Per-sample randomness."""

import pytest
import torch

from defusion import random

DRAWS = (random.uniform, random.normal, lambda n, shape, own: random.integers(n, shape, own, 1000))


@pytest.mark.parametrize("draw", DRAWS)
def test_a_sample_depends_on_its_own_generator_alone(draw) -> None:  # type: ignore[no-untyped-def]
    whole = draw(3, (4, 5), [random.generator(7, i) for i in range(3)])
    assert whole.shape == (3, 4, 5)
    assert torch.equal(whole[1:2], draw(1, (4, 5), [random.generator(7, 1)]))


def test_neighbouring_keys_give_unrelated_streams() -> None:
    values = torch.stack([random.normal(1, (4096,), random.generator(0, i))[0] for i in range(8)])
    correlation = torch.corrcoef(values) - torch.eye(8)
    assert correlation.abs().max() < 0.08
    assert random.generator(1, 2).initial_seed() != random.generator(2, 1).initial_seed()


def test_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    random.uniform(2, (3,), random.generator(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_ranges() -> None:
    values = random.uniform(1, (10000,), random.generator(0), 2.0, 5.0)
    assert 2 <= values.min() < 2.01
    assert 4.99 < values.max() < 5


def test_the_number_of_generators_is_checked() -> None:
    with pytest.raises(ValueError, match="one for each of 3 samples, got 2"):
        random.normal(3, (), [random.generator(0), random.generator(1)])
