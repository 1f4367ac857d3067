"""Training of the describer: its samples, what it learns, and its data."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from PIL import Image

from data_modules.pairs import PairSource
from data_modules.plan import SynthesisConfig
from data_modules.restoration import RestorationDataModule
from data_modules.synthesis import Synthesis
from defusion.degradations.library import NAMES
from defusion.describer.module import DescriberModule, named
from defusion.describer.network import Describer, DescriberConfig
from defusion.grounds.chart import Chart
from defusion.types import Batch
from tests.conftest import TINY_TOKENIZER, filled

CHART = Chart(TINY_TOKENIZER.ground_size)
SHOWN = SynthesisConfig(
    matched=0.7, type_matched=0, partial=0, clean=0, mismatched=0.3, untouched=1, chart=CHART, canonical=True
)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    filled(TINY_TOKENIZER).save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


def learner(folder: str, **options: float | str) -> DescriberModule:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = DescriberConfig(crop_size=32, channels=(16, 24), blocks=(1, 1), width=32)
        return DescriberModule(folder, shape, warmup_steps=2, **options)  # type: ignore[arg-type]


def started(folder: str) -> str:
    """The weights of a describer to go on from."""
    learner(folder).describer.save(f"{folder}/../describer")
    return f"{folder}/../describer"


def batch(first: int = 0, count: int = 32) -> Batch:
    hq = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(first))
    return Synthesis(SHOWN)(hq, list(range(first, first + count)))


def alone(name: str, severity: float) -> SynthesisConfig:
    """Samples of one degradation at one severity."""
    weights = dict.fromkeys(NAMES, 0.0) | {name: 1.0}
    bounds = (severity, severity)
    return replace(SHOWN, weights=weights, severities=bounds, composites=(1.0,), matched=1, mismatched=0)


def test_canonical_samples_are_a_function_of_what_degraded_them() -> None:
    """One chart and one place of every streak: equal parameters look equal, whatever the sample's number."""
    found = Synthesis(alone("haze", 0.5))(torch.rand(6, 3, 32, 32), list(range(6)))
    assert torch.equal(found.ground, CHART.canonical().expand(6, -1, -1, -1))
    assert found.severities is not None
    assert torch.equal(found.severities[:, NAMES.index("haze")], torch.full((6,), 0.5))
    shown = Synthesis(alone("noise", 1))(torch.rand(40, 3, 32, 32), list(range(40))).instruction - CHART.canonical()
    likeness = torch.corrcoef(shown.flatten(1)[:, ::7])
    assert (likeness - torch.eye(40)).max() > 0.95  # two Gaussian ones: the same field


def test_severities_are_those_of_what_is_there() -> None:
    found = batch()
    assert found.severities is not None
    assert torch.equal(found.severities > 0, named(found.task).bool())
    assert "clean" in found.task


def test_clean_pictures_are_described_by_the_clean_chart(folder: str) -> None:
    module, own = learner(folder), batch()
    clean = module.describer.tokenizer.indices(CHART.canonical())[0]
    for task, codes in zip(own.task, module._codes(own), strict=True):
        assert torch.equal(codes, clean) or task != "clean"


def test_it_learns(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of one batch falls, and so do all three of its terms."""
    module, own = learner(folder, learning_rate=3e-3), batch()
    logged: dict[str, list[float]] = {}

    def note(values: dict[str, torch.Tensor], **_: object) -> None:
        for name, value in values.items():
            logged.setdefault(name, []).append(value.item())

    monkeypatch.setattr(module, "log_dict", note)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    optimizer = torch.optim.AdamW(module.trained(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        module.training_step(own, 0).backward()
        optimizer.step()
    for name, values in logged.items():
        assert values[-1] < 0.8 * values[0], name


@pytest.mark.filterwarnings("ignore:.*no last checkpoint available", "ignore:.*does not have many workers")
def test_pictures_are_looked_at_in_crops_of_the_size_of_the_training(folder: str, tmp_path: Path) -> None:
    module = learner(folder)
    data = RestorationDataModule(
        synthesis=SHOWN, crop_size=48, batch_size=2, workers=0, validation_size=32, validation_photos=1
    )
    Trainer(fast_dev_run=True, accelerator="cpu", logger=False, enable_progress_bar=False).fit(module, data)
    module.save_weights(tmp_path / "weights")
    assert Describer.load(tmp_path / "weights", module.describer.tokenizer).config.crop_size == 48


@pytest.mark.filterwarnings("ignore:.*no last checkpoint available")
def test_data_that_do_not_fit_are_refused(folder: str, tmp_path: Path) -> None:
    options = {"crop_size": 32, "batch_size": 2, "workers": 0, "validation_size": 32, "validation_photos": 1}
    other = SynthesisConfig(chart=CHART)
    wrong = replace(SHOWN, chart=Chart(64))
    partial = replace(SHOWN, matched=0.6, partial=0.1)
    for path in ("input/a.png", "target/a.png"):
        (tmp_path / path).parent.mkdir()
        Image.new("RGB", (40, 40)).save(tmp_path / path)
    real = [PairSource(str(tmp_path), "rain")]
    for synthesis, pairs, message in (
        (other, [], "canonical: expected true"),
        (wrong, [], "expected the tokenizer's grounds"),
        (partial, [], "partial: expected 0"),
        (SHOWN, real, "data.pairs: expected none"),
    ):
        data = RestorationDataModule(synthesis=synthesis, pairs=pairs, **options)  # type: ignore[arg-type]
        trainer = Trainer(fast_dev_run=True, accelerator="cpu", logger=False, enable_progress_bar=False)
        with pytest.raises(ValueError, match=message):
            trainer.fit(learner(folder), data)


def test_of_pictures_it_learns_to_read_what_their_crops_say_together(folder: str) -> None:
    """Its features stay, and so does the size of its crops."""
    module = learner(folder, pictures=True, start=started(folder), optimizer="adamw", learning_rate=1e-2)
    before = {name: own.clone() for name, own in module.describer.state_dict().items()}
    seen: list[int] = []
    look = module.describer.look
    module.describer.look = lambda pictures, most=99: seen.append(most) or look(pictures, most)  # type: ignore
    data = RestorationDataModule(
        synthesis=SHOWN, crop_size=64, batch_size=2, workers=0, validation_size=64, validation_photos=1
    )
    Trainer(
        max_steps=3, limit_val_batches=0, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    ).fit(module, data)  # fmt: skip
    assert seen == [1, 2, 3]
    assert module.describer.config.crop_size == 32
    moved = {name for name, own in module.describer.state_dict().items() if not torch.equal(own, before[name])}
    assert {"names.weight", "vector.weight", "cues.0.weight"} <= moved
    assert not any(name.startswith(("features", "tokenizer")) for name in moved)


def test_pictures_need_features_that_have_learnt_and_several_crops(folder: str) -> None:
    with pytest.raises(ValueError, match="start: expected the weights of a describer"):
        learner(folder, pictures=True)
    module = learner(folder, pictures=True, start=started(folder))
    data = RestorationDataModule(
        synthesis=SHOWN, crop_size=32, batch_size=2, workers=0, validation_size=32, validation_photos=1
    )
    lone = Trainer(fast_dev_run=True, accelerator="cpu", logger=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match="muon orthogonalises hidden matrices, and this network names none"):
        lone.fit(module, data)
    module = learner(folder, pictures=True, start=started(folder), optimizer="adamw")
    with pytest.raises(
        ValueError, match=r"data\.crop_size: expected pictures of several crops of 32 px, got 32: give 64"
    ):
        lone.fit(module, data)


def test_it_fits_and_validates_with_clean_pictures(folder: str, tmp_path: Path) -> None:
    data = RestorationDataModule(
        synthesis=SHOWN,
        crop_size=32,
        batch_size=4,
        workers=0,
        validation_size=32,
        validation_photos=1,
        validation_tasks=["clean", "rain", "rain+noise"],
    )
    trainer = Trainer(
        fast_dev_run=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    module = learner(folder)
    trainer.fit(module, data)
    logged = trainer.logged_metrics
    assert {f"val/{task}/named_exactly" for task in ("clean", "rain", "rain+noise")} <= set(logged)
    module.save_weights(tmp_path / "weights")
    DescriberModule(folder, start=str(tmp_path / "weights"))
