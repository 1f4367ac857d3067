"""The peers: of the size of ours, pictures of any size, learning, weights on the disk, and their experiments."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from spandrel.architectures.NAFNet import NAFNet
from torch import nn

from defusion.peers.module import PeerModule
from defusion.peers.network import ChannelNorm, DenoiserConfig, NAFNetConfig, Peer, PeerConfig, UformerConfig
from defusion.precision import autocast
from defusion.types import Batch
from defusion.unet.unet import UNet, UNetConfig
from defusion.weights import WeightsError
from tests.diffusion.test_module import data, trainer
from tests.test_experiments import EXPERIMENTS, fit

TINY: dict[str, PeerConfig] = {
    "nafnet": NAFNetConfig(width=8, encoder=(1, 1), middle=1, decoder=(1, 1)),
    "uformer": UformerConfig(channels=4, depths=(1,) * 9, window=2, crop=32),
    "denoiser": DenoiserConfig(channels=8, blocks=1),
    "plain": UNetConfig(channels=(16, 32), blocks=1, adapter_levels=(), pool=False, gate=False),
}
KINDS = ["nafnet", "uformer", "plain"]
"""Those that are trained beside ours; the others are timed alone."""
CONFIGS = {"NAFNetConfig": NAFNetConfig, "UformerConfig": UformerConfig, "UNetConfig": UNetConfig}


@pytest.fixture(params=list(TINY))
def peer(request: pytest.FixtureRequest) -> Peer:
    return random_peer(TINY[request.param])


def random_peer(config: PeerConfig) -> Peer:
    """With its zero-initialised layers drawn anew, so that everything has an effect."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        peer = Peer(config)
        with torch.no_grad():
            for parameter in peer.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape))
    return peer.eval()


def pictures(*size: int) -> torch.Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(0))


def experiment(kind: str) -> PeerConfig:
    settings = yaml.safe_load((EXPERIMENTS / f"ablation/peers/{kind}.yaml").read_text())
    network = settings["model"]["init_args"]["network"]
    arguments = {key: tuple(own) if isinstance(own, list) else own for key, own in network["init_args"].items()}
    config: PeerConfig = CONFIGS[network["class_path"].rsplit(".")[-1]](**arguments)
    return config


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_experiments_have_the_size_of_ours(kind: str) -> None:
    ours = size(UNet(UNetConfig(channels=(32, 64, 96), blocks=2, adapter_levels=(2,), token_channels=64)))
    assert abs(size(Peer(experiment(kind))) / ours - 1) < 0.03


@pytest.mark.parametrize("shape", [(64, 64), (40, 71), (9, 33)])
def test_pictures_of_any_size_keep_it(peer: Peer, shape: tuple[int, int]) -> None:
    lq = pictures(2, 3, *shape)
    restored = peer.restore(lq)
    assert restored.shape == lq.shape
    assert restored.min() >= 0
    assert restored.max() <= 1
    assert not torch.equal(restored, lq)
    assert not restored.requires_grad


def test_a_picture_of_whole_multiples_is_not_padded(peer: Peer) -> None:
    lq = pictures(1, 3, 64, 64)
    assert torch.equal(peer.restore(lq), peer(lq).clamp(0, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_is_near_full_precision(kind: str) -> None:
    peer, lq = random_peer(experiment(kind)), pictures(1, 3, 64, 64)
    with autocast("cpu"):
        half = peer.restore(lq)
    assert half.dtype == torch.float32
    assert (half - peer.restore(lq)).abs().mean() < 0.02


def test_the_plain_network_starts_as_the_identity() -> None:
    lq = pictures(1, 3, 32, 32)
    assert torch.equal(Peer(TINY["plain"]).restore(lq), lq)


@pytest.mark.filterwarnings("ignore:.*saved_variables")
def test_nafnet_is_the_published_one() -> None:
    """Pictures and gradients, with the weights of spandrel's own, whose normalisation is written out."""
    published = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])
    peer = random_peer(TINY["nafnet"])
    published.load_state_dict(peer.network.state_dict())
    assert any(isinstance(own, ChannelNorm) for own in peer.modules())
    lq = pictures(1, 3, 32, 32)
    assert torch.allclose(peer(lq), published(lq), atol=1e-5)
    for network in (peer, published):
        network(lq).square().mean().backward()
    for ours, theirs in zip(peer.network.parameters(), published.parameters(), strict=True):
        assert ours.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_hidden_weights_are_matrices_between_the_ends(peer: Peer) -> None:
    hidden = {id(weight) for weight in peer.hidden_weights()}
    named = {name: id(parameter) for name, parameter in peer.named_parameters()}
    assert hidden <= set(named.values())
    assert all(weight.ndim > 1 for weight in peer.hidden_weights())
    parts = ("intro", "ending", "proj.0", "stem", "head", "norm", "bias", "modulator", "beta", "gamma")
    ends = [name for name, own in named.items() if own in hidden and any(part in name for part in parts)]
    assert not ends
    assert sum(weight.numel() for weight in peer.hidden_weights()) > 0.5 * size(peer)


def test_weights_come_back_from_the_disk(peer: Peer, tmp_path: Path) -> None:
    loaded = Peer.load(peer.save(tmp_path))
    assert loaded.config == peer.config
    assert not loaded.training
    for key, value in peer.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[key], expected), key


def test_weights_of_another_network_are_refused(model: Any, peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="expected the weights of a peer"):
        Peer.load(model.save(tmp_path / "defusion"))
    text = (peer.save(tmp_path / "peer") / "config.json").read_text()
    (tmp_path / "peer" / "config.json").write_text(text.replace('"kind": "', '"kind": "un'))
    with pytest.raises(WeightsError, match="not weights of this release's Peer"):
        Peer.load(tmp_path / "peer")


def test_a_plain_network_has_no_instruction() -> None:
    with pytest.raises(ValueError, match="expected pool: false"):
        Peer(UNetConfig())


def test_crops_that_are_no_whole_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="crop: expected a side"):
        UformerConfig(window=8, crop=48)


@pytest.mark.parametrize("kind", ["plain", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[:2])])
def test_training_removes_haze(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    learner, source = PeerModule(TINY[kind], learning_rate=5e-3, warmup_steps=2), data(40)
    source.crop_size = 32
    trainer(tmp_path, 40).fit(learner, source)
    batch = source.on_after_batch_transfer(next(iter(source.val_dataloader())), 0)
    restored = learner.eval().validation_step(batch, 0)["restored"]
    assert (restored - batch.hq).square().mean() < 0.8 * (batch.lq - batch.hq).square().mean()


def test_it_learns_the_clean_picture_whatever_the_instruction_shows() -> None:
    """The target of a null instruction is lq itself: only hq gives a network that is to keep lq a loss."""
    lq, hq = pictures(2, 3, 32, 32), pictures(2, 3, 32, 32).flip(0)
    learner = PeerModule(TINY["plain"])
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = Batch(hq, lq, lq, hq, hq, ("rain", "rain"), ("clean", "clean"), ())
    untouched = Batch(lq, lq, lq, hq, hq, ("rain", "rain"), ("clean", "clean"), ())
    assert learner.training_step(batch, 0) > 10 * learner.training_step(untouched, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_experiments_run_after_one_of_the_diffusion(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file before gives samples, optimisation, averaging and metrics; this one no more than the network."""
    settings = yaml.safe_load((EXPERIMENTS / f"ablation/peers/{kind}.yaml").read_text())
    assert list(settings) == ["model"]
    assert list(settings["model"]["init_args"]) == ["network"]
    arguments = [
        *("--config", str(EXPERIMENTS / f"ablation/peers/{kind}.yaml"), "--trainer.default_root_dir", str(tmp_path)),
        *("--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu", "--trainer.precision", "32-true"),
        *("--data.init_args.workers", "0", "--data.init_args.batch_size", "1"),
        *("--data.init_args.validation_tasks", "[haze]", "--data.init_args.validation_size", "64"),
        *("--data.init_args.validation_photos", "1", "--data.init_args.synthesis.grounds", "2"),
    ]
    fit(monkeypatch, "diffusion/nano.yaml", *arguments)
