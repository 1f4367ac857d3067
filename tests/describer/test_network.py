"""The describer: its parts, what it says of a picture, and its weights."""

from pathlib import Path

import pytest
import torch

from defusion.degradations.library import NAMES
from defusion.describer.network import MOST_CROPS, Describer, DescriberConfig, crops
from defusion.diffusion.model import Defusion
from defusion.grounds.chart import Chart
from defusion.instruction import NULL
from defusion.precision import autocast
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.tokenizer.network import Tokenizer
from defusion.weights import WeightsError
from tests.conftest import TINY_TOKENIZER, filled

TINY = DescriberConfig(crop_size=32, channels=(16, 24), blocks=(1, 1), width=32)
CHART = Chart(TINY_TOKENIZER.ground_size)


@pytest.fixture
def describer(tokenizer: Tokenizer) -> Describer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Describer(TINY, tokenizer).eval()


def sure_of(describer: Describer, *names: str, **logits: float) -> Describer:
    """One that names just these, or as surely as their logits say, whatever it sees."""
    given = dict.fromkeys(names, 10.0) | logits
    bias = torch.tensor([given.get(name, -10.0) for name in NAMES])
    with torch.no_grad():
        describer.names.weight.zero_()
        describer.names.bias.copy_(torch.cat([bias, torch.zeros(len(NAMES))]))
    return describer


def test_it_says_names_severities_and_a_code_a_place(describer: Describer) -> None:
    found = describer(torch.rand(3, 3, 32, 32))
    assert found.names.shape == found.severities.shape == (3, len(NAMES))
    assert found.codes.shape == (3, TINY_TOKENIZER.num_tokens, TINY_TOKENIZER.num_codes)


def test_a_description_is_an_instruction_in_the_vocabulary_of_the_tokenizer(describer: Describer) -> None:
    found = sure_of(describer, "rain", "noise").describe(torch.rand(3, 40, 50), CHART)
    assert found.shown == "rain+noise"
    assert found.codes.shape == (1, TINY_TOKENIZER.num_tokens)
    assert torch.equal(found.ground, CHART.canonical())
    with autocast("cpu"):
        decoded = describer.tokenizer.decode(describer.tokenizer.quantizer.lookup(found.codes))
    assert torch.equal(found.picture, decoded)
    assert set(found.confidences) == set(found.severities) == set(NAMES)
    assert "rain (severity 0.5, 100% sure)" in found.words


def test_clean_pictures_are_left_alone_exactly(describer: Describer, model: Defusion) -> None:
    restorer = Restorer(model, "cpu", sure_of(describer))
    lq = torch.rand(2, 3, 40, 50, generator=generator(0))
    found = restorer(lq)
    assert [own.shown for own in found.instructions] == [NULL, NULL]
    assert torch.equal(found.image, lq)
    assert "clean (100% sure)" in found.instruction.words  # type: ignore[attr-defined]


def test_every_picture_of_a_batch_has_its_own_description(describer: Describer, model: Defusion) -> None:
    restorer = Restorer(model, "cpu", sure_of(describer, "rain"))
    lq = torch.rand(2, 3, 40, 50, generator=generator(0))
    lq[1] *= 0.1
    both = restorer(lq)
    for number, own in enumerate(lq):
        alone = restorer(own)
        assert torch.equal(alone.instruction.codes, both.instructions[number].codes)  # type: ignore[attr-defined]
        assert torch.allclose(alone.image, both.image[number], atol=1e-5)
    assert not torch.equal(both.image, lq)


def test_the_tokens_are_those_of_its_codes(describer: Describer, model: Defusion) -> None:
    restorer = Restorer(model, "cpu", sure_of(describer, "rain"))
    (found,) = restorer.describe(torch.rand(3, 40, 50))
    tokens = restorer.tokens(found)
    assert tokens is not None
    ground = CHART.canonical()
    with autocast("cpu"):
        clean = model.tokenizer.encode(ground)
    assert torch.allclose(tokens + clean, model.tokenizer.quantizer.lookup(found.codes), atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "count"), [(1, 1, 1), (5, 70, 3), (32, 32, 1), (63, 40, 4), (100, 100, 16), (3000, 4000, 20)]
)
def test_crops_are_spread_over_the_picture(height: int, width: int, count: int) -> None:
    picture = torch.arange(height * width, dtype=torch.float64).view(1, height, width).expand(3, -1, -1)
    found = crops(picture, 32)
    assert all(own.shape == (3, 32, 32) for own in found)
    assert len(found) == count <= MOST_CROPS
    if min(height, width) >= 32:
        places = [divmod(int(own[0, 0, 0]), width) for own in found]
        assert all(top % 16 == left % 16 == 0 for top, left in places), "where blocks of JPEG begin"
        assert min(places) == (0, 0)
        for side, starts in zip((height, width), zip(*places, strict=True), strict=True):
            assert 0 <= side - 32 - max(starts) < 16


def test_of_losses_of_sharpness_the_likeliest_is_there(describer: Describer) -> None:
    """A picture that is surely unsharp, but nobody knows in which way, is not sharp."""
    ways = {"defocus_blur": -0.8, "motion_blur": -0.9, "downsample": -0.3}
    picture = torch.rand(3, 40, 50, generator=generator(0))
    for logits, expected in (
        (ways, "downsample+noise"),
        (dict.fromkeys(ways, -3.0), "noise"),  # sharp is likelier than each
        ({"motion_blur": 5.0, "defocus_blur": 5.0}, "defocus_blur+noise"),
        ({"snow": 3.0, "rain": -0.1, "underwater": -0.1}, "snow+noise"),
    ):
        assert set(sure_of(describer, "noise", **logits).describe(picture, CHART).shown.split("+")) == set(
            expected.split("+")
        )


def test_clean_is_as_sure_as_nothing_is_wrong(describer: Describer) -> None:
    """With a third each for two losses of sharpness there is a third for none."""
    found = sure_of(describer, defocus_blur=-0.71, downsample=-0.75).describe(torch.rand(3, 40, 50), CHART)
    assert found.words == "clean (35% sure)"
    found = sure_of(describer, rain=-0.71, noise=-0.75).describe(torch.rand(3, 40, 50), CHART)
    assert found.words == "clean (67% sure)"


def test_a_large_picture_is_the_mean_of_its_crops(describer: Describer) -> None:
    pictures = torch.rand(2, 3, 70, 40, generator=generator(0))
    seen = [crops(own, 32) for own in pictures]
    for most in (1, 4, 100):
        expected = torch.stack([describer.statistics(torch.stack(own[:most])).mean(0) for own in seen])
        assert torch.allclose(describer.look(pictures, most), expected, atol=1e-5)


def test_what_is_saved_says_the_same(describer: Describer, tokenizer: Tokenizer, tmp_path: Path) -> None:
    describer.save(tmp_path)
    assert not list(tmp_path.rglob("tokenizer*"))
    loaded = Describer.load(tmp_path, tokenizer)
    again = Describer.load(tmp_path, tokenizer)
    picture = torch.rand(1, 3, 32, 32, generator=generator(0))
    assert torch.allclose(loaded(picture).names, describer(picture).names, atol=0.02)
    assert torch.equal(loaded(picture).codes, again(picture).codes)


def test_another_tokenizer_is_refused(describer: Describer, tmp_path: Path) -> None:
    describer.save(tmp_path)
    other = filled(TINY_TOKENIZER)
    other.quantizer.codebook.add_(1)
    with pytest.raises(WeightsError, match="was trained with tokenizer"):
        Describer.load(tmp_path, other)


def test_it_is_loaded_with_the_weights(describer: Describer, model: Defusion, tmp_path: Path) -> None:
    Restorer(model, "cpu", describer).save_pretrained(tmp_path)
    assert Restorer.from_pretrained(tmp_path, "cpu").describer is not None
    (tmp_path / "describer" / "describer.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"describer\.safetensors"):
        Restorer.from_pretrained(tmp_path, "cpu")


@pytest.mark.parametrize("changes", [{"blocks": (1,)}, {"channels": ()}, {"crop_size": 30}])
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DescriberConfig(**({"channels": (16, 24), "blocks": (1, 1)} | changes))  # type: ignore[arg-type]
