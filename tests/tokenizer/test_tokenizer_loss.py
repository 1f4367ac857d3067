import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from defusion.tokenizer.discriminator import PatchDiscriminator
from defusion.tokenizer.loss import (
    PerceptualConfig,
    PerceptualLoss,
    adaptive_weight,
    contrast_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)

SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
ALEXNET = SHARED / "lpips" / "alexnet_features_fp16.safetensors"
needs_alexnet = pytest.mark.skipif(not ALEXNET.is_file(), reason=f"no AlexNet weights at {ALEXNET}")


def pictures(n: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_hinge_losses_in_closed_form() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert hinge_discriminator_loss(real, fake) == pytest.approx(0.5 * ((0.0 + 0.5 + 2.0) + (0.0 + 1.0 + 2.0)) / 3)
    assert hinge_discriminator_loss(real.new_tensor([1.0]), real.new_tensor([-1.0])) == 0
    assert hinge_generator_loss(fake) == pytest.approx(2 / 3)


def test_adaptive_weight_balances_the_gradients_at_the_last_layer() -> None:
    layer = nn.Parameter(torch.tensor([1.0, 2.0]))
    reconstruction, adversarial = (
        (layer * torch.tensor([3.0, 4.0])).sum(),
        (layer * torch.tensor([0.0, 10.0])).sum(),
    )
    weight = adaptive_weight(reconstruction, adversarial, layer)
    assert weight == pytest.approx(5 / 10, rel=1e-4)
    assert not weight.requires_grad
    (reconstruction + weight * adversarial).backward()  # the graph is kept
    assert adaptive_weight((layer * 9).sum(), (layer * 0).sum(), layer) == 1e4


def test_contrast_loss_sees_noise_that_the_mean_squared_error_would_average_away() -> None:
    flat = torch.full((1, 3, 32, 32), 0.5)
    noisy, other = flat + 0.1 * (pictures(1, 32) - 0.5), flat + 0.1 * (pictures(1, 32, seed=1) - 0.5)
    assert contrast_loss(noisy, noisy) == 0
    assert contrast_loss(other, noisy) < 0.2 * contrast_loss(flat, noisy)
    assert contrast_loss(flat + 0.1, flat) == pytest.approx(0, abs=1e-4)


def test_contrast_loss_has_finite_gradients_on_flat_pictures() -> None:
    flat = torch.zeros(1, 3, 16, 16, requires_grad=True)
    contrast_loss(flat, pictures(1, 16)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_discriminator_judges_patches() -> None:
    discriminator = PatchDiscriminator(channels=8, layers=2)
    assert discriminator(pictures(2)).shape == (2, 1, 14, 14)
    assert PatchDiscriminator(channels=8, layers=3)(pictures(2)).shape == (2, 1, 6, 6)
    with pytest.raises(ValueError, match="layers"):
        PatchDiscriminator(layers=0)


@pytest.mark.parametrize("layers", [2, 3])
def test_discriminator_sees_the_patch_it_claims(layers: int) -> None:
    discriminator = PatchDiscriminator(channels=8, layers=layers).eval()
    picture = pictures(1, 128).requires_grad_()
    logits = discriminator(picture)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert picture.grad is not None
    seen = picture.grad[0].abs().sum(0).any(0).nonzero()
    assert seen.max() - seen.min() + 1 == {2: 34, 3: 70}[layers]


@needs_alexnet
def test_lpips_equals_torchmetrics() -> None:
    from torchmetrics.functional.image.lpips import _LPIPS

    ours = PerceptualLoss(PerceptualConfig("alex", str(ALEXNET)))
    reference = _LPIPS(pretrained=True, net="alex", pnet_rand=True).eval()
    reference.load_state_dict(reference.state_dict() | {f"net.{k}": v for k, v in ours.backbone.state_dict().items()})
    x, y = pictures(3), pictures(3, seed=1)
    torch.testing.assert_close(ours(x, y), reference(x, y, normalize=True).mean(), rtol=1e-4, atol=1e-5)
    assert ours(x, x) == 0
    assert ours(x, 0.9 * x) < ours(x, y)


@needs_alexnet
def test_lpips_is_frozen_and_without_dropout() -> None:
    loss = PerceptualLoss(PerceptualConfig("alex", str(ALEXNET))).train()
    assert not any(isinstance(part, nn.Dropout) for part in loss.modules())
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    black = torch.zeros(1, 3, 64, 64, requires_grad=True)
    loss(black, torch.zeros(1, 3, 64, 64)).backward()
    assert black.grad is not None
    assert black.grad.isfinite().all()


@needs_alexnet
def test_lpips_draws_nothing_from_the_global_state() -> None:
    state = torch.random.get_rng_state()
    PerceptualLoss(PerceptualConfig("alex", str(ALEXNET)))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_missing_backbone_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="perceptual: null"):
        PerceptualLoss(PerceptualConfig("alex", str(tmp_path / "none.pth")))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*arguments: object, **keywords: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(OSError, match=r"perceptual\.weights.*perceptual: null"):
        PerceptualLoss(PerceptualConfig("alex"))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_unreadable_backbone_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"weights.{suffix}"
    file.write_bytes(b"not weights")
    with pytest.raises(ValueError, match="cannot be read"):
        PerceptualLoss(PerceptualConfig("alex", str(file)))


@needs_alexnet
def test_backbone_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="VGG-16"):
        PerceptualLoss(PerceptualConfig("vgg", str(ALEXNET)))
    state = load_file(ALEXNET)
    state["features.3.weight"] = state["features.3.weight"][:7].clone()
    save_file(state, tmp_path / "cut.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        PerceptualLoss(PerceptualConfig("alex", str(tmp_path / "cut.safetensors")))


@needs_alexnet
def test_pth_and_safetensors_agree(tmp_path: Path) -> None:
    torch.save(load_file(ALEXNET), tmp_path / "alexnet.pth")
    first = PerceptualLoss(PerceptualConfig("alex", str(ALEXNET)))
    second = PerceptualLoss(PerceptualConfig("alex", str(tmp_path / "alexnet.pth")))
    assert torch.equal(first(pictures(1), pictures(1, seed=1)), second(pictures(1), pictures(1, seed=1)))
