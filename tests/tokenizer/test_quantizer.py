import pytest
import torch
from torch.nn import functional as F

from defusion.tokenizer.quantizer import VectorQuantizer


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(num_codes: int = 37, channels: int = 5) -> VectorQuantizer:
    quantizer = VectorQuantizer(num_codes, channels)
    quantizer.codebook.copy_(features(num_codes, channels, seed=1))
    return quantizer.eval()


def test_nearest_code_equals_brute_force() -> None:
    quantizer, x = filled(), features(3, 11, 5)
    expected = torch.cdist(x.reshape(-1, 5).double(), quantizer.codebook.double()).argmin(1)
    assert torch.equal(quantizer.nearest(x).flatten(), expected)
    assert torch.equal(quantizer(x).tokens, quantizer.codebook[expected].reshape(3, 11, 5))


def test_distances_stay_float32_under_autocast() -> None:
    quantizer = VectorQuantizer(64, 4).eval()
    quantizer.codebook.copy_(1 + 1e-2 * features(64, 4, seed=2))  # hardly distinguishable in bfloat16
    x = quantizer.codebook[None] + 1e-4
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantizer.nearest(x)[0], torch.arange(64))


def test_gradient_passes_straight_through() -> None:
    x = features(2, 7, 5).requires_grad_()
    weight = features(2, 7, 5, seed=3)
    (filled()(x).tokens * weight).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weight)


def test_commitment_is_the_mean_squared_distance() -> None:
    quantizer, x = filled(), features(2, 7, 5)
    quantized = quantizer(x)
    torch.testing.assert_close(quantized.commitment, F.mse_loss(x, quantized.tokens))


def test_one_update_is_the_moving_average_of_the_assigned_features() -> None:
    quantizer = VectorQuantizer(2, 1, decay=0.75, dead_below=0.0).train()
    quantizer.codebook.copy_(torch.tensor([[0.0], [10.0]]))
    quantizer.sums.copy_(quantizer.codebook)
    quantizer.counts.fill_(1.0)
    quantizer(torch.tensor([[[1.0], [2.0], [3.0], [14.0]]]))
    torch.testing.assert_close(quantizer.counts, torch.tensor([0.75 + 0.25 * 3, 1.0]))
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[0.25 * 6 / 1.5], [0.75 * 10 + 0.25 * 14]]))


def test_an_empty_codebook_fills_itself_and_stays_in_use() -> None:
    quantizer = VectorQuantizer(64, 8).train()
    assert not quantizer.codebook.any()
    for step in range(20):
        indices = quantizer(features(16, 16, 8, seed=step)).indices
    assert len(indices.unique()) > 48


def test_dead_codes_are_revived_on_features() -> None:
    quantizer = VectorQuantizer(16, 4).train()
    for step in range(5):
        quantizer(features(4, 16, 4, seed=step))
    for step in range(80):  # the features move away: the codes that stay behind die
        quantizer(50 + features(4, 16, 4, seed=step))
    assert (quantizer.codebook - 50).abs().max() < 10


def test_codes_at_rest_in_evaluation() -> None:
    quantizer = filled()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(features(2, 7, 5))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_fewer_features_than_dead_codes() -> None:
    quantizer = VectorQuantizer(64, 4).train()
    quantizer(features(1, 9, 4))
    assert len(quantizer.codebook.unique(dim=0)) == 11  # nine features, their mean, and the origin


@pytest.mark.parametrize("seed", [0, 1])
def test_one_seed_one_codebook_without_global_randomness(seed: int) -> None:
    codebooks = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        state = torch.random.get_rng_state()
        quantizer = VectorQuantizer(16, 4, seed=seed).train()
        quantizer(features(4, 16, 4))
        assert torch.equal(torch.random.get_rng_state(), state)
        codebooks.append(quantizer.codebook)
    assert torch.equal(*codebooks)
    other = VectorQuantizer(16, 4, seed=seed + 7).train()
    other(features(4, 16, 4))
    assert not torch.equal(other.codebook, codebooks[0])


def test_state_resumes_exactly() -> None:
    straight, resumed = VectorQuantizer(16, 4).train(), VectorQuantizer(16, 4).train()
    for step in range(6):
        straight(features(4, 16, 4, seed=step))
        if step == 2:
            resumed.load_state_dict(straight.state_dict())
        if step > 2:
            resumed(features(4, 16, 4, seed=step))
    assert torch.equal(straight.codebook, resumed.codebook)
    assert torch.equal(straight.counts, resumed.counts)
