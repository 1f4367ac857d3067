"""The whole method: spaces, conditions, sampling, saving."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from defusion.degradations.library import NAMES
from defusion.diffusion.model import Defusion, DefusionConfig, pad_to_multiple
from defusion.diffusion.phrases import embeddings
from defusion.diffusion.process import Process
from defusion.random import generator, normals
from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.unet.unet import UNetConfig
from defusion.weights import WeightsError, stored


def charts(n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    return torch.rand(n, 3, 32, 32, generator=draw), torch.rand(n, 3, 32, 32, generator=draw)


def altered(model: Defusion, **changes: object) -> Defusion:
    """Another variant, without the gate, which the ablations do without."""
    config = replace(model.config, unet=replace(model.config.unet, gate=False), **changes)  # type: ignore[arg-type]
    return Defusion(config, model.tokenizer).eval()


@pytest.mark.parametrize("space", ["degradation", "image"])
def test_picture_inverts_y0(model: Defusion, space: str) -> None:
    model = altered(model, space=space)
    lq, target = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    assert torch.allclose(lq - model.removed(lq, model.y0(lq, target)), target, atol=1e-6)


def test_null_instructions_give_null_tokens(model: Defusion) -> None:
    ground, instruction = charts()
    assert model.tokens(ground, ground, ("clean",) * 2).abs().max() == 0  # type: ignore[union-attr]
    assert model.tokens(ground, instruction, ("rain",) * 2).abs().max() > 0  # type: ignore[union-attr]


def test_ablations_of_the_instruction(model: Defusion) -> None:
    ground, instruction = charts()
    plain = altered(model, subtract_null=False).tokens(ground, instruction, ("rain",) * 2)
    assert torch.equal(plain, model.tokenizer.encode(instruction))  # type: ignore[arg-type]
    assert altered(model, instruction="none").tokens(ground, instruction, ("rain",) * 2) is None


@pytest.mark.parametrize("kind", ["label", "text"])
def test_names_have_a_token_each(model: Defusion, kind: str) -> None:
    ground, _ = charts(3)
    named = altered(model, instruction=kind)
    clean, rain, both = named.tokens(ground, ground, ("clean", "rain", "rain+snow"))  # type: ignore[misc]
    assert clean.abs().max() == 0
    assert (rain.abs().sum(1) > 0).sum() == 1
    assert (both.abs().sum(1) > 0).sum() == 2
    assert torch.equal(rain[NAMES.index("rain")], both[NAMES.index("rain")])


def test_text_is_frozen_and_near_for_near_words(model: Defusion) -> None:
    words = embeddings()
    assert torch.allclose(words.norm(dim=1), torch.ones(len(NAMES)), atol=1e-3)
    rain, drops, jpeg = (words[NAMES.index(name)] for name in ("rain", "raindrop", "jpeg"))
    assert rain @ drops > rain @ jpeg
    named = altered(model, instruction="text")
    trained = [name for name, own in named.named_parameters() if own.requires_grad and "unet" not in name]
    assert trained == ["labels.weight"]


def test_continuous_tokens_are_what_codes_are_chosen_for(model: Defusion) -> None:
    ground, instruction = charts()
    continuous = altered(model, quantised=False)
    assert continuous.tokens(ground, ground, ("clean",) * 2).abs().max() == 0  # type: ignore[union-attr]
    quantizer, features = model.tokenizer.quantizer, model.tokenizer.encode(instruction, quantised=False)
    assert torch.equal(quantizer.lookup(quantizer.nearest(features)), model.tokenizer.encode(instruction))
    assert not torch.equal(features, model.tokenizer.encode(instruction))


def test_a_network_starts_from_the_weights_of_the_same_network(model: Defusion, tmp_path: Path) -> None:
    model.save(tmp_path)
    fresh = Defusion(model.config, model.tokenizer)
    fresh.start_from(tmp_path)
    for key, value in fresh.state_dict().items():
        assert torch.equal(stored(value), stored(model.state_dict()[key])), key
    with pytest.raises(WeightsError, match="expected weights of"):
        altered(model).start_from(tmp_path)
    other = Tokenizer(model.tokenizer.config, seed=5)
    with pytest.raises(WeightsError, match="was trained with tokenizer"):
        Defusion(model.config, other).start_from(tmp_path)


def test_a_network_grows_by_blocks_that_change_nothing_at_first(model: Defusion, tmp_path: Path) -> None:
    model.save(tmp_path)
    saved = Defusion.load(tmp_path)
    assert isinstance(model.config.unet, UNetConfig)
    unet = replace(model.config.unet, blocks=model.config.unet.blocks + 1)
    deeper = Defusion(replace(model.config, unet=unet), model.tokenizer).eval()
    deeper.start_from(tmp_path)
    ground, instruction = charts()
    lq, t = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.ones(2)
    tokens = saved.tokens(ground, instruction, ("rain",) * 2)
    assert torch.equal(deeper(lq, t, lq, tokens), saved(lq, t, lq, tokens))
    assert saved(lq, t, lq, tokens).abs().max() > 0
    deeper.save(tmp_path)
    with pytest.raises(WeightsError, match="expected weights of"):
        Defusion(model.config, model.tokenizer).start_from(tmp_path)


def test_the_null_instruction_changes_nothing(model: Defusion) -> None:
    ground, instruction = charts()
    lq = torch.rand(2, 3, 17, 23)
    for shown, unchanged in ((ground, True), (instruction, False)):
        tokens = model.tokens(ground, shown, ("",) * 2)
        assert torch.equal(model.restore(lq, tokens, normals(generator(0)), 2), lq) == unchanged


@pytest.mark.parametrize(
    "changes",
    [{"space": "image"}, {"instruction": "none"}, {"subtract_null": False}, {"process": Process(prediction="v")}],
    ids=str,
)
def test_a_gate_where_zero_is_not_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unet\.gate: true needs"):
        DefusionConfig(**changes)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23), (5, 40), (3, 3)])
@pytest.mark.parametrize("sampler", ["ddim", "sde"])
def test_any_size_is_restored(model: Defusion, height: int, width: int, sampler: str) -> None:
    lq = torch.rand(2, 3, height, width)
    ground, instruction = charts()
    tokens = model.tokens(ground, instruction, ("rain",) * 2)
    restored = model.restore(lq, tokens, normals(generator(0)), 2, sampler)  # type: ignore[arg-type]
    assert restored.shape == lq.shape
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_one_seed_gives_one_restoration_whatever_the_batch(model: Defusion) -> None:
    lq = torch.rand(2, 3, 16, 16)
    ground, instruction = charts()
    tokens = model.tokens(ground, instruction, ("rain",) * 2)
    both = model.restore(lq, tokens, normals([generator(1), generator(2)]), 4)
    alone = model.restore(lq[1:], tokens[1:], normals([generator(2)]), 4)  # type: ignore[index]
    other = model.restore(lq[1:], tokens[1:], normals([generator(3)]), 4)  # type: ignore[index]
    assert torch.allclose(both[1:], alone, atol=1e-5)
    assert not torch.allclose(alone, other, atol=1e-4)


def test_steps_are_yielded_and_the_last_is_the_result(model: Defusion) -> None:
    lq = torch.rand(1, 3, 16, 16)
    tokens = torch.randn(1, 4, model.config.unet.token_channels)
    steps = list(model.restorations(lq, tokens, normals(generator(0)), 3))
    assert len(steps) == 3
    assert torch.equal(steps[-1], model.restore(lq, tokens, normals(generator(0)), 3))


def test_the_tokenizer_is_frozen(model: Defusion) -> None:
    model.train()
    assert not model.tokenizer.training
    assert not any(parameter.requires_grad for parameter in model.tokenizer.parameters())


def test_saved_and_loaded_it_restores_alike(model: Defusion, tmp_path: Path) -> None:
    """To what half precision leaves at first, and then exactly."""
    loaded = Defusion.load(model.save(tmp_path / "first"))
    again = Defusion.load(loaded.save(tmp_path / "second"))
    lq = torch.rand(1, 3, 16, 16, generator=generator(1))
    ground, instruction = charts(1)
    assert again.config == loaded.config == model.config
    first, second, third = (
        m.restore(lq, m.tokens(ground, instruction, ("rain",)), normals(generator(0)), 4)
        for m in (model, loaded, again)
    )
    assert torch.allclose(first, second, atol=2e-3)
    assert torch.equal(second, third)


def test_another_tokenizer_is_refused(model: Defusion, tmp_path: Path) -> None:
    model.save(tmp_path)
    Tokenizer(model.tokenizer.config, seed=1).save(tmp_path / "tokenizer")
    with pytest.raises(WeightsError, match="was trained with tokenizer"):
        Defusion.load(tmp_path)


def test_tokens_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="token_channels: expected the tokenizer's 32"):
        Defusion(DefusionConfig(unet=UNetConfig(token_channels=16)), Tokenizer(TokenizerConfig(token_channels=32)))


def test_padding_reflects_where_it_can() -> None:
    x = torch.arange(6.0).view(1, 1, 1, 6)
    assert pad_to_multiple(x, 4).shape == (1, 1, 4, 8)
    row = torch.arange(30.0).view(1, 1, 5, 6)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
