import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from defusion.tokenizer.network import Tokenizer, TokenizerConfig
from defusion.weights import FORMAT_VERSION, WeightsError, load_weights, save_weights

TINY = TokenizerConfig(ground_size=16, channels=(16, 32), num_codes=24, token_channels=8)


def pictures(n: int, height: int = 16, width: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    network = Tokenizer(TINY).train()
    network(pictures(8, seed=9))  # fills the codebook
    return network.eval()


def test_shapes_at_any_size_divisible_by_the_stride(tokenizer: Tokenizer) -> None:
    assert (TINY.stride, TINY.num_tokens) == (4, 16)
    for height, width in ((16, 16), (32, 32), (8, 20)):
        ground, num_tokens = pictures(3, height, width), height * width // 16
        tokens = tokenizer.encode(ground)
        assert tokens.shape == (3, num_tokens, 8)
        assert tokenizer.indices(ground).shape == (3, num_tokens)
        assert tokenizer(ground).reconstruction.shape == ground.shape
        decoded = tokenizer.decode(tokens, rows=height // 4)
        assert decoded.shape == ground.shape
        assert 0 <= decoded.min() <= decoded.max() <= 1


def test_tokens_are_codes_and_rows_come_first(tokenizer: Tokenizer) -> None:
    ground = pictures(2)
    indices, tokens = tokenizer.indices(ground), tokenizer.encode(ground)
    assert torch.equal(tokens, tokenizer.quantizer.codebook[indices])
    assert not tokens.requires_grad
    torch.testing.assert_close(tokenizer.decode(tokens), tokenizer(ground).reconstruction.clamp(0, 1))


def test_encoding_leaves_the_codebook_alone_even_in_training_mode(tokenizer: Tokenizer) -> None:
    before = tokenizer.fingerprint()
    tokenizer.train().encode(pictures(4))
    assert tokenizer.fingerprint() == before


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_residual_is_zero_for_the_clean_ground_alone(tokenizer: Tokenizer, batch: int, autocast: bool) -> None:
    ground = pictures(batch)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert not tokenizer.residual(ground, ground).any()
        residual = tokenizer.residual(1 - ground, ground)
        expected = tokenizer.encode(1 - ground) - tokenizer.encode(ground)
    assert residual.dtype == torch.float32
    assert residual.any()
    assert torch.equal(residual, expected)


def test_wrong_shapes_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="divisible by 4"):
        tokenizer.encode(pictures(1, 18, 16))
    with pytest.raises(ValueError, match=r"\(B, 3, Hv, Wv\)"):
        tokenizer.encode(pictures(1)[0])
    with pytest.raises(ValueError, match="shape of its ground"):
        tokenizer.residual(pictures(1, 32, 32), pictures(1))
    with pytest.raises(ValueError, match="divisor of the 16 tokens"):
        tokenizer.decode(tokenizer.encode(pictures(1)), rows=3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": (20,)}, "multiples of 16"),
        ({"channels": (16, 96)}, "1, 2 or 4 times"),
        ({"ground_size": 60}, "multiple of 8"),
        ({"num_codes": 1}, "num_codes"),
        ({"blocks": 0}, "blocks"),
        ({"token_channels": 0}, "token_channels"),
    ],
)
def test_impossible_configurations_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**wrong)  # type: ignore[arg-type]


def test_configuration_survives_json() -> None:
    assert TokenizerConfig(**json.loads(json.dumps(asdict(TINY)))) == TINY


def test_save_and_load_round_trip(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "new" / "folder")
    loaded = Tokenizer.load(tmp_path / "new" / "folder")
    assert sorted(file.name for file in (tmp_path / "new" / "folder").iterdir()) == [
        "config.json",
        "tokenizer.safetensors",
    ]
    assert loaded.config == TINY
    assert not loaded.training
    assert loaded.fingerprint() == tokenizer.fingerprint()
    for key, value in tokenizer.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().to(value.dtype)), key


def test_fingerprint_knows_every_stored_bit_but_not_the_memory_format(tokenizer: Tokenizer) -> None:
    before = tokenizer.fingerprint()
    tokenizer.to(memory_format=torch.channels_last).double().float()
    assert tokenizer.fingerprint() == before
    tokenizer.quantizer.codebook[3, 4] = 0.0
    unsigned = tokenizer.fingerprint()
    tokenizer.quantizer.codebook[3, 4] = -0.0
    assert tokenizer.fingerprint() == unsigned
    before = tokenizer.fingerprint()
    tokenizer.quantizer.codebook[3, 5] *= 1 + 1e-3
    assert tokenizer.fingerprint() != before


def test_missing_weights_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json: cannot be read"):
        Tokenizer.load(tmp_path)


def test_damaged_weights_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    weights = tmp_path / "tokenizer.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match=r"tokenizer\.safetensors: not the file"):
        Tokenizer.load(tmp_path)
    weights.unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.safetensors: cannot be read"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", "written by save_weights"),
        ('{"config": {}}', "written by save_weights"),
    ],
)
def test_damaged_descriptions_are_refused(tokenizer: Tokenizer, tmp_path: Path, content: str, message: str) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=message):
        Tokenizer.load(tmp_path)


def test_other_models_and_formats_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    with pytest.raises(WeightsError, match="weights of a unet, got those of a tokenizer"):
        load_weights(tmp_path, name="unet")
    file = tmp_path / "config.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"config": about["config"] | {"num_codes": 25}}))
    with pytest.raises(WeightsError, match="not weights of this release's Tokenizer"):
        Tokenizer.load(tmp_path)
    file.write_text(json.dumps(about | {"config": about["config"] | {"depth": 25}}))
    with pytest.raises(WeightsError, match="depth"):
        Tokenizer.load(tmp_path)
    file.write_text(json.dumps(about | {"format_version": 99}))
    with pytest.raises(WeightsError, match=f"format version {FORMAT_VERSION}, got 99"):
        Tokenizer.load(tmp_path)


def test_saving_again_replaces_the_weights(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_weights(tmp_path, {"a": torch.ones(3)}, {"k": 1})
    save_weights(tmp_path, {"a": torch.zeros(2)}, {"k": 2})
    state, config = load_weights(tmp_path)
    assert torch.equal(state["a"], torch.zeros(2))
    assert config == {"k": 2}


@pytest.mark.parametrize("number", [1e5, float("inf"), float("nan")])
def test_weights_that_half_precision_cannot_hold_are_refused_and_older_ones_stay(tmp_path: Path, number: float) -> None:
    save_weights(tmp_path, {"a": torch.ones(3)}, {})
    with pytest.raises(WeightsError, match=r"not all of a\.b are: the training has diverged"):
        save_weights(tmp_path, {"a": torch.ones(3), "a.b": torch.tensor([1.0, number])}, {})
    assert torch.equal(load_weights(tmp_path)[0]["a"], torch.ones(3))
