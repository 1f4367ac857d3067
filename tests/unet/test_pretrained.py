"""Pretrained text-to-image U-Nets: as they were at first, then guided by pictures and instructions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from defusion.diffusion.latent import Autoencoder, AutoencoderConfig
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.diffusion.process import Process
from defusion.random import generator, normals
from defusion.restore.export import ExportError, export_onnx
from defusion.restore.restorer import Restorer
from defusion.tokenizer.network import Tokenizer
from defusion.unet.pretrained import PretrainedUNet, PretrainedUNetConfig
from defusion.unet.sources import PretrainedError, embed_prompt
from defusion.weights import WeightsError
from tests.unet.layouts import DEEPFLOYD, LAYOUTS, SD15, VAE, source

diffusers = pytest.importorskip("diffusers", reason="needs defusion[pretrained]")


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> tuple[dict[str, Any], int]:
    return LAYOUTS[request.param]


def inputs(unet: PretrainedUNet, size: int = 64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """y_t, t, lq, tokens and text."""
    draw, own = generator(0), unet.config
    side, channels = size // own.patch * 2, own.architecture["in_channels"]
    lq = torch.rand(2, 3, 2 * size, 2 * size, generator=draw) * 2 - 1
    y = torch.randn(2, channels, side, side, generator=draw)
    tokens = torch.randn(2, 9, own.token_channels, generator=draw)
    return y, torch.tensor([0.3, 1.0]), lq, tokens, torch.randn(2, 7, unet.text_channels, generator=draw)


def original(folder: Path, unet: PretrainedUNet, y: Tensor, t: Tensor, text: Tensor) -> Tensor:
    network = diffusers.UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()
    with torch.no_grad():
        return network(y, (t * 999).round(), text, **unet._extra(y)).sample


def test_at_scale_0_it_is_the_original_bit_for_bit(layout: tuple[dict[str, Any], int], tmp_path: Path) -> None:
    folder = source(layout[0], tmp_path)
    unet = PretrainedUNet.build(PretrainedUNetConfig(str(folder), patch=layout[1], scale=0)).eval()
    y, t, lq, tokens, text = inputs(unet)
    with torch.no_grad():
        assert torch.equal(unet(y, t, lq, tokens, text), original(folder, unet, y, t, text))


def test_the_instruction_acts_and_null_tokens_do_not(layout: tuple[dict[str, Any], int], tmp_path: Path) -> None:
    folder = source(layout[0], tmp_path)
    unet = PretrainedUNet.build(PretrainedUNetConfig(str(folder), patch=layout[1])).eval()
    y, t, lq, tokens, text = inputs(unet)
    with torch.no_grad():
        plain = original(folder, unet, y, t, text)
        assert torch.equal(unet(y, t, lq, 0 * tokens, text), plain)
        assert torch.equal(unet(y, t, lq, None, text), plain)
        assert not torch.allclose(unet(y, t, lq, tokens, text), plain, atol=1e-4)
        assert not torch.allclose(unet(y, t, lq, None, 2 * text), plain, atol=1e-4), "text keeps working"


def test_keys_and_values_start_as_those_of_the_text(tmp_path: Path) -> None:
    unet = PretrainedUNet.build(PretrainedUNetConfig(str(source(SD15, tmp_path))))
    attentions = [own for own in unet.network.modules() if getattr(own, "is_cross_attention", False)]
    assert attentions
    for own in attentions:
        assert torch.equal(own.processor.key.weight, own.to_k.weight)
        assert torch.equal(own.processor.value.weight, own.to_v.weight)


def test_gradients_reach_bridge_and_adapter(layout: tuple[dict[str, Any], int], tmp_path: Path) -> None:
    unet = PretrainedUNet.build(PretrainedUNetConfig(str(source(layout[0], tmp_path)), patch=layout[1]))
    y, t, lq, tokens, text = inputs(unet)
    optimizer = torch.optim.SGD([own for own in unet.parameters() if own.requires_grad], 0.1)
    for _ in range(2):  # the bridge's own layers learn once the modulation has left zero
        optimizer.zero_grad()
        unet(y, t, lq, tokens, text).square().mean().backward()
        optimizer.step()
    for name, own in unet.named_parameters():
        learns = own.requires_grad
        assert learns == (".processor." in name or ".modulation." in name or name.startswith("bridge.")), name
        assert (own.grad is not None and bool(own.grad.abs().sum() > 0)) == learns, name


@pytest.mark.parametrize("trained", ["adapters", "norms", "all"])
def test_what_learns_is_chosen(trained: Any, tmp_path: Path) -> None:
    unet = PretrainedUNet.build(PretrainedUNetConfig(str(source(SD15, tmp_path)), trained=trained))
    learning = {name for name, own in unet.named_parameters() if own.requires_grad}
    assert any("norm" in name for name in learning) == (trained != "adapters")
    assert any("conv1" in name for name in learning) == (trained == "all")
    assert any("processor" in name for name in learning)


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "config.json"), ("empty", "config.json")])
def test_a_source_that_is_not_there_is_said(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PretrainedError, match=message):
        PretrainedUNetConfig(str(tmp_path / folder))


def test_weights_that_would_be_unpickled_are_refused(tmp_path: Path) -> None:
    folder = source(SD15, tmp_path)
    config = PretrainedUNetConfig(str(folder))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(PretrainedError, match="safetensors weights"):
        PretrainedUNet.build(config)


def test_another_class_is_refused(tmp_path: Path) -> None:
    folder = source(SD15, tmp_path)
    with pytest.raises(PretrainedError, match="expected a UNet2DConditionModel"):
        PretrainedUNetConfig(str(folder), subfolder="vae")


@pytest.mark.parametrize(
    ("unet", "vae", "message"),
    [
        ({}, None, "unet.patch: expected 1"),
        ({"patch": 4}, {}, "unet.patch: expected 8"),
        ({"architecture": DEEPFLOYD}, {}, "in_channels 4, got 3"),
    ],
)
def test_spaces_that_do_not_fit_are_refused(unet: dict[str, Any], vae: dict[str, Any] | None, message: str) -> None:
    own = PretrainedUNetConfig(**({"architecture": SD15} | unet))
    latent = None if vae is None else AutoencoderConfig(architecture=VAE)
    with pytest.raises(ValueError, match=message):
        DefusionConfig(unet=own, autoencoder=latent)


def latent_model(tokenizer: Tokenizer, folder: Path, **changes: Any) -> Defusion:
    unet = PretrainedUNetConfig(str(folder), token_channels=tokenizer.config.token_channels)
    process = Process("variance_preserving", "eps", scale=1, limit=8)
    config = DefusionConfig(unet=unet, process=process, autoencoder=AutoencoderConfig(str(folder)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Defusion(replace(config, **changes), tokenizer).eval()


def test_degradations_diffuse_between_latents(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = latent_model(tokenizer, source(SD15, tmp_path))
    assert isinstance(model.autoencoder, Autoencoder)
    lq, target = torch.rand(2, 2, 3, 64, 64, generator=generator(0))
    y0 = model.y0(lq, target)
    assert y0.shape == (2, 4, 8, 8)
    assert model.y0(lq, lq).abs().max() == 0
    ceiling = model.autoencoder.decode(model.autoencoder.encode(target))
    assert torch.allclose(lq - model.removed(lq, y0), ceiling, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 91)])
def test_pictures_are_restored_in_latent_space(tokenizer: Tokenizer, tmp_path: Path, height: int, width: int) -> None:
    restorer = Restorer(latent_model(tokenizer, source(SD15, tmp_path)), "cpu")
    lq = torch.rand(3, height, width, generator=generator(0))
    first, second = (restorer(lq, "rain", steps=2, seed=seed).image for seed in (0, 1))
    assert first.shape == lq.shape
    assert torch.equal(first, restorer(lq, "rain", steps=2).image)
    assert not torch.equal(first, second)


def test_pixels_are_restored_by_a_network_of_pixel_space(tokenizer: Tokenizer, tmp_path: Path) -> None:
    unet = PretrainedUNetConfig(str(source(DEEPFLOYD, tmp_path)), token_channels=16, patch=1)
    process = Process("variance_preserving", "eps")
    model = Defusion(DefusionConfig(unet=unet, process=process), tokenizer).eval()
    lq = torch.rand(1, 3, 19, 26, generator=generator(0))
    tokens = torch.randn(1, 4, 16, generator=generator(1))
    assert model.restore(lq, tokens, normals(generator(2)), 2).shape == lq.shape


def test_what_is_saved_needs_its_source_no_more(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = source(SD15, tmp_path / "source")
    model = latent_model(tokenizer, folder)
    model.prompt = torch.randn(1, 5, 48, generator=generator(3))
    model.save(tmp_path / "weights")
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    loaded = Defusion.load(tmp_path / "weights")
    again = Defusion.load(loaded.save(tmp_path / "again"))
    lq = torch.rand(1, 3, 64, 64, generator=generator(0))
    tokens = torch.randn(1, 4, 16, generator=generator(1))
    first, second, third = (own.restore(lq, tokens, normals(generator(2)), 2) for own in (model, loaded, again))
    assert torch.allclose(first, second, atol=0.02)
    assert torch.equal(second, third)
    with pytest.raises(WeightsError, match="a pretrained one starts from its source"):
        model.start_from(tmp_path / "weights")
    with pytest.raises(ExportError, match="a U-Net of our own"):
        export_onnx(Restorer(loaded, "cpu"), tmp_path / "model.onnx")


def test_a_prompt_is_embedded_by_the_source(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs defusion[pretrained]")
    (tmp_path / "tokenizer").mkdir()
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    words = ["<|startoftext|>", "<|endoftext|>", *letters]
    (tmp_path / "tokenizer" / "vocab.json").write_text(
        "{" + ", ".join(f'"{word}": {number}' for number, word in enumerate(words)) + "}"
    )
    (tmp_path / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(tmp_path / "tokenizer" / "vocab.json"), str(tmp_path / "tokenizer" / "merges.txt"), model_max_length=12
    )
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    config = transformers.CLIPTextConfig(
        vocab_size=len(words), hidden_size=48, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=12,
    )  # fmt: skip
    transformers.CLIPTextModel(config).save_pretrained(tmp_path / "text_encoder")
    clean, other = (embed_prompt(words, str(tmp_path)) for words in ("a clean photograph", "rain"))
    assert clean.shape == other.shape == (1, 12, 48)
    assert not torch.equal(clean, other)
    with pytest.raises(PretrainedError, match="a CLIP text encoder"):
        embed_prompt("rain", str(tmp_path / "nowhere"))


def test_a_prompt_needs_a_pretrained_network() -> None:
    with pytest.raises(ValueError, match="with a pretrained U-Net alone"):
        DefusionConfig(prompt="a clean photograph")
