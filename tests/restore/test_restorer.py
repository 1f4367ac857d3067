"""The public interface: pictures in every form, instructions in every form, any size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image

from defusion.degradations.library import LIBRARY
from defusion.degradations.standard import drawn
from defusion.diffusion.model import Defusion, DefusionConfig
from defusion.diffusion.process import Process
from defusion.imageio import read_image, write_png
from defusion.instruction import NULL, VisualInstruction
from defusion.random import generator
from defusion.restore.restorer import Restorer
from defusion.weights import WeightsError
from tests.conftest import TINY_UNET, randomised


@pytest.fixture
def restorer(model: Defusion) -> Restorer:
    return Restorer(model, "cpu")


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)


def test_every_form_of_a_picture_gives_the_same(restorer: Restorer, levels: np.ndarray, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", levels)
    chw = torch.from_numpy(levels.transpose(2, 0, 1).copy())
    forms: list[Any] = [
        *(levels, levels.astype(np.uint16) * 257, levels / 255, levels.astype(np.float32) / 255),
        *(Image.fromarray(levels), tmp_path / "a.png", str(tmp_path / "a.png"), chw, chw.float() / 255),
    ]
    images = [restorer(form, "rain").image for form in forms]
    assert images[0].shape == (3, 21, 30)
    for own in images[1:]:
        assert torch.allclose(own, images[0], atol=1e-5)
    several = restorer(np.stack([levels, levels]), "rain").image
    batch = restorer(chw[None].expand(2, -1, -1, -1), "rain").image
    assert torch.equal(several, batch)
    assert batch.shape == (2, 3, 21, 30)
    assert torch.allclose(batch[0], images[0], atol=1e-5)


def test_grey_arrays_are_pictures(restorer: Restorer, levels: np.ndarray) -> None:
    grey = levels[..., 0]
    assert torch.equal(restorer(grey, "rain").image, restorer(np.repeat(grey[..., None], 3, 2), "rain").image)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 5, 4), np.uint8), "without transparency"),
        (np.zeros((2, 4, 5, 4), np.uint8), "without transparency"),
        (np.zeros((0, 5, 3), np.uint8), "expected an array"),
        (np.zeros((4, 5, 3), np.int64), "expected uint8, uint16 or floats"),
        (np.full((4, 5, 3), np.nan), "expected values in"),
        (np.full((4, 5, 3), 200.0), "divide 8-bit pictures by 255"),
        (torch.zeros(4, 5, 3), r"expected a tensor \(3, H, W\)"),
        (torch.zeros(3, 4, 5, dtype=torch.int32), "expected uint8, uint16 or floats"),
        (torch.full((3, 4, 5), torch.inf), "expected values in"),
        ([1, 2], "got list"),
        ("nowhere.png", "no such file"),
    ],
)
def test_what_is_no_picture_is_refused(restorer: Restorer, picture: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restorer(picture, "rain")


def test_instructions_in_every_form(restorer: Restorer) -> None:
    lq = torch.rand(3, 24, 24, generator=generator(0))
    named = restorer.instruction("rain", 3)
    assert torch.equal(restorer(lq, named).image, restorer(lq, "rain", seed=3).image)
    for own in (LIBRARY["rain"], drawn("rain", 5), "rain:0.9+noise:40"):
        found = restorer.instruction(own)
        assert found.shown in ("rain", "rain+noise")
        assert (found.picture != found.ground).any()
        assert not torch.equal(restorer(lq, own).image, lq)
    assert torch.equal(restorer(lq, NULL).image, lq)


def test_numbers_behind_names_are_severities(restorer: Restorer) -> None:
    def change(spec: str) -> float:
        shown = restorer.instruction(spec)
        return float((shown.picture - shown.ground).square().mean())

    assert change("noise:5") < change("noise:25") < change("noise:50")
    assert change("noise:25") == pytest.approx(change("noise"))
    assert change("jpeg:80") < change("jpeg:10")
    assert change("haze:0.2") < change("haze") < change("haze:0.9")
    assert change("rain:0") == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rain:2", r"rain: expected a severity in \[0, 1\]"),
        ("noise:99", "sigma: expected"),
        ("noise:-1", "sigma: expected"),
        ("jpeg:1.5", "quality: expected"),
        ("rain:much", 'expected a number behind "rain:"'),
        ("rain:nan", "rain: expected a severity"),
        ("fog:1", "unknown degradation 'fog'"),
        ("auto", "these have not"),
    ],
)
def test_instructions_that_say_nothing_are_refused(restorer: Restorer, spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restorer(torch.zeros(3, 8, 8), spec)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sampler", ["ddim", "sde"])
@pytest.mark.parametrize("prediction", ["y0", "v"])
def test_tiles_agree_with_the_whole(model: Defusion, steps: int, sampler: Any, prediction: Any) -> None:
    """Also where noise enters: all tiles see one field of it."""
    if prediction == "v":
        unet = replace(TINY_UNET, gate=False)
        model = randomised(Defusion(DefusionConfig(unet=unet, process=Process(prediction="v")), model.tokenizer))
    restorer = Restorer(model, "cpu")
    lq = torch.rand(2, 3, 90, 453, generator=generator(0))
    whole = restorer(lq, "rain", steps=steps, sampler=sampler, tile=0)
    tiled = restorer(lq, "rain", steps=steps, sampler=sampler, tile=384)
    assert not torch.equal(whole.image, lq)
    assert torch.allclose(tiled.degradation, whole.degradation, atol=0.02)
    assert (tiled.degradation - whole.degradation).square().mean().sqrt() < 1e-3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 300), (300, 3), (7, 9)])
def test_small_and_narrow_pictures(restorer: Restorer, height: int, width: int) -> None:
    lq = torch.rand(3, height, width)
    assert restorer(lq, "rain").image.shape == lq.shape


def test_samples_have_a_mean_and_a_deviation(restorer: Restorer) -> None:
    lq = torch.rand(3, 16, 16, generator=generator(0))
    found = restorer(lq, "rain", steps=3, samples=4)
    assert found.uncertainty is not None
    assert found.uncertainty.shape == lq.shape
    assert found.uncertainty.max() > 0
    assert restorer(lq, "rain", steps=3).uncertainty is None
    for samples, message in ((0, "at least 1"), (2, "all samples are the same")):
        with pytest.raises(ValueError, match=message):
            restorer(lq, "rain", steps=1, samples=samples)


def test_one_seed_gives_one_result(restorer: Restorer) -> None:
    lq = torch.rand(3, 16, 16, generator=generator(0))
    shown = restorer.instruction("rain")
    first, second, third = (restorer(lq, shown, steps=3, seed=seed).image for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_the_degradation_is_what_was_removed(restorer: Restorer, tmp_path: Path) -> None:
    lq = 0.4 + 0.2 * torch.rand(3, 16, 16, generator=generator(0))
    found = restorer(lq, "rain", strength=0.5)
    assert torch.equal(found.image, (lq - found.degradation).clamp(0, 1))
    assert torch.allclose(2 * found.degradation, restorer(lq, "rain").degradation, atol=1e-6)
    assert found.pil().size == (16, 16)
    found.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), found.numpy())


def test_the_mean_and_deviation_are_those_of_the_samples(restorer: Restorer) -> None:
    lq = 0.4 + 0.2 * torch.rand(3, 16, 16, generator=generator(0))
    found = restorer(lq, "rain", steps=3, samples=3)
    # Sample i of a call is drawn by the key (seed, i), whatever their number: take them apart by adding one at a time.
    sums = [number * restorer(lq, "rain", steps=3, samples=number).degradation for number in (1, 2, 3)]
    own = torch.stack([sums[0], sums[1] - sums[0], sums[2] - sums[1]])
    assert torch.allclose(found.degradation, own.mean(0), atol=1e-6)
    assert found.uncertainty is not None
    assert torch.allclose(found.uncertainty, own.std(0), atol=1e-5)


def test_graded_strength_of_what_has_no_names_is_refused(restorer: Restorer) -> None:
    lq = torch.zeros(3, 8, 8)
    for shown in (restorer.instruction("rain"), LIBRARY["rain"], "auto"):
        with pytest.raises(ValueError, match=r"needs an instruction by names|needs a describer"):
            restorer(lq, shown, strength={"rain": 1.0})


@pytest.mark.parametrize("tile", [1, 383])
def test_tiles_that_are_all_border_are_refused(restorer: Restorer, tile: int) -> None:
    with pytest.raises(ValueError, match="tile: expected at least 384 px"):
        restorer(torch.zeros(3, 8, 8), "rain", tile=tile)


def test_what_is_saved_is_loaded(restorer: Restorer, tmp_path: Path) -> None:
    again = Restorer.from_pretrained(restorer.save_pretrained(tmp_path / "weights"), "cpu")
    lq = torch.rand(3, 16, 16, generator=generator(0))
    assert torch.allclose(again(lq, "rain").image, restorer(lq, "rain").image, atol=2e-3)
    assert again.describer is None


def test_a_model_of_the_hub_is_downloaded(restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = restorer.save_pretrained(tmp_path / "weights")
    asked: dict[str, Any] = {}

    def download(model: str, **options: Any) -> str:
        asked.update(options, model=model)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    Restorer.from_pretrained("someone/model", "cpu", revision="v2")
    assert asked["model"] == "someone/model"
    assert asked["revision"] == "v2"
    assert all(pattern.rpartition(".")[2] in ("json", "safetensors", "md") for pattern in asked["allow_patterns"])

    def fail(model: str, **options: Any) -> str:
        raise LocalEntryNotFoundError("no connection\nlong story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(WeightsError, match=r"someone/model: no such folder, and as a model .* no connection$"):
        Restorer.from_pretrained("someone/model", "cpu")


def test_a_chart_of_pictures_is_an_instruction(restorer: Restorer, tmp_path: Path) -> None:
    shown = restorer.instruction("haze")
    for name, picture in (("clean", shown.ground), ("hazy", shown.picture)):
        write_png(tmp_path / f"{name}.png", picture[0])
    size = restorer.model.tokenizer.config.ground_size
    read = VisualInstruction.of_pictures(tmp_path / "clean.png", tmp_path / "hazy.png", size)
    lq = torch.rand(3, 16, 16, generator=generator(0))
    assert torch.allclose(restorer(lq, read).image, restorer(lq, shown).image, atol=0.05)
