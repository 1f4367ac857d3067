"""Plans and synthesis: modes mean what they say, and one seed gives one batch."""

from collections import Counter

import pytest
import torch

from data_modules import restoration
from data_modules.plan import SynthesisConfig, draw_plan
from data_modules.restoration import RestorationDataModule
from data_modules.synthesis import Synthesis
from defusion.degradations.library import EXCLUSIVE, NAMES
from defusion.grounds.chart import Chart
from defusion.random import generator
from defusion.types import Batch, Mode

CHART = Chart(32)


def config(**changes: object) -> SynthesisConfig:
    return SynthesisConfig(chart=CHART, grounds=8, **changes)  # type: ignore[arg-type]


def only(mode: str, **changes: object) -> SynthesisConfig:
    modes = dict.fromkeys(("matched", "type_matched", "partial", "clean", "mismatched"), 0.0)
    return config(**(modes | {mode: 1.0} | changes))


def crops(n: int = 6) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def fields(batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.hq, batch.lq, batch.target, batch.ground, batch.instruction


def test_frequencies_follow_the_configuration() -> None:
    settings = config(composites=(0.5, 0.5), clean=0.5, matched=0.5, type_matched=0, partial=0, mismatched=0)
    plans = [draw_plan(settings, generator(0, i)) for i in range(2000)]
    assert Counter(len(plan.present) for plan in plans)[1] / 2000 == pytest.approx(0.5, abs=0.05)
    assert Counter(plan.mode for plan in plans)[Mode.NULL] / 2000 == pytest.approx(0.5, abs=0.05)
    singles = Counter(plan.present for plan in plans if len(plan.present) == 1)
    assert set(singles) == {(i,) for i in range(len(NAMES))}
    assert min(singles.values()) > 0.5 * max(singles.values())


def test_samples_that_show_a_part_are_composites_and_as_frequent_as_configured() -> None:
    settings = config(composites=(0.7, 0.2, 0.1), partial=0.5, matched=0, type_matched=0.5, clean=0, mismatched=0)
    plans = [draw_plan(settings, generator(0, i)) for i in range(2000)]
    assert Counter(plan.mode for plan in plans)[Mode.PARTIAL] / 2000 == pytest.approx(0.5, abs=0.05)
    sizes = Counter(len(plan.present) for plan in plans if plan.mode is Mode.PARTIAL)
    assert set(sizes) == {2, 3}
    assert sizes[2] / sizes.total() == pytest.approx(2 / 3, abs=0.05)


def test_single_degradations_have_no_part_to_show() -> None:
    plans = [draw_plan(only("partial", composites=(1.0,)), generator(0, i)) for i in range(50)]
    assert {plan.mode for plan in plans} == {Mode.TYPE_MATCHED}


def test_plans_are_consistent() -> None:
    for i in range(2000):
        plan = draw_plan(config(composites=(0.2, 0.4, 0.4)), generator(1, i))
        names = {NAMES[member] for member in plan.present}
        assert plan.present == tuple(sorted(set(plan.present)))
        assert all(len(names & exclusive) <= 1 for exclusive in EXCLUSIVE)
        if plan.mode is Mode.PARTIAL:
            assert 0 < len(plan.shown) < len(plan.present)
            assert set(plan.shown) < set(plan.present)
        elif plan.mode is Mode.NULL:
            assert plan.shown == ()
        elif plan.mode is Mode.MISMATCHED:
            assert plan.shown
            assert not set(plan.shown) & set(plan.present)
        else:
            assert plan.shown == plan.present


def test_every_wrong_instruction_is_shown_alike_often() -> None:
    settings = only("mismatched", weights={"noise": 20.0, "rain": 0.0}, untouched=1.0)
    shown = Counter(NAMES[draw_plan(settings, generator(3, i)).shown[0]] for i in range(2000))
    assert set(shown) == set(NAMES) - {"rain"}
    assert max(shown.values()) < 1.6 * min(shown.values())


def test_weights_of_zero_remove_a_degradation() -> None:
    weights = {name: 0.0 for name in NAMES if name not in ("rain", "haze")}
    seen = {m for i in range(200) for m in draw_plan(config(weights=weights), generator(2, i)).present}
    assert {NAMES[member] for member in seen} == {"rain", "haze"}


@pytest.mark.parametrize("mode", ["matched", "type_matched"])
def test_shown_degradations_are_to_be_removed(mode: str) -> None:
    batch = Synthesis(only(mode))(crops(), range(6))
    assert torch.equal(batch.target, batch.hq)
    assert batch.task == batch.shown
    assert ((batch.lq - batch.hq).abs().amax((1, 2, 3)) > 0).all()
    assert ((batch.instruction - batch.ground).abs().amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("mode", ["clean", "mismatched"])
def test_what_is_not_shown_stays(mode: str) -> None:
    batch = Synthesis(only(mode))(crops(), range(6))
    assert torch.equal(batch.target, batch.lq)
    untouched = (batch.instruction - batch.ground).abs().amax((1, 2, 3)) == 0
    assert untouched.all() if mode == "clean" else not untouched.any()


def test_a_partial_target_is_lq_without_the_shown_part() -> None:
    """Haze then noise, showing the haze: the target is the noise alone, with that of lq, up to the rounding of lq."""
    weights = {name: float(name in ("low_light", "noise")) for name in NAMES}
    batch = Synthesis(only("partial", composites=(0.0, 1.0), weights=weights))(crops(12), range(12))
    assert set(batch.task) == {"low_light+noise"}
    noise_shown = torch.tensor([name == "noise" for name in batch.shown])
    assert 0 < noise_shown.sum() < 12
    assert ((batch.target - batch.hq).abs().amax((1, 2, 3)) > 0).all()
    assert ((batch.target - batch.lq).abs().amax((1, 2, 3)) > 0).all()
    # Where the noise is shown the target is the dark picture: darker than hq everywhere.
    assert (batch.target[noise_shown].mean((1, 2, 3)) < batch.hq[noise_shown].mean((1, 2, 3))).all()
    bright = batch.target[~noise_shown].mean((1, 2, 3)) - batch.hq[~noise_shown].mean((1, 2, 3))
    assert bright.abs().max() < 0.1


def test_samples_do_not_depend_on_their_batch() -> None:
    synthesis = Synthesis(config(composites=(0.3, 0.4, 0.3)), seed=3)
    hq = crops(8)
    whole = synthesis(hq, range(8))
    parts = [synthesis(hq[i : i + 1], [i]) for i in range(8)]
    for x, *ys in zip(fields(whole), *map(fields, parts), strict=True):
        assert torch.equal(x, torch.cat(ys))
    assert whole.task == tuple(part.task[0] for part in parts)


def test_seeds_give_different_batches() -> None:
    first, second = (Synthesis(config(), seed)(crops(), range(6)) for seed in (0, 1))
    assert not torch.equal(first.lq, second.lq)


def test_real_pairs_keep_their_lq_and_get_type_matched_instructions() -> None:
    hq, lq = crops(4), crops(4).flip(3)
    batch = Synthesis(only("matched"))(hq, range(4), ["rain", "", "rain+noise", ""], lq)
    assert torch.equal(batch.lq[[0, 2]], lq[[0, 2]])
    assert not torch.equal(batch.lq[1], lq[1])
    assert batch.task[0] == batch.shown[0] == "rain"
    assert batch.task[2] == "rain+noise"
    assert batch.mode == (Mode.TYPE_MATCHED, Mode.MATCHED, Mode.TYPE_MATCHED, Mode.MATCHED)


def batches(workers: int, seed: int = 0) -> list[Batch]:
    module = RestorationDataModule(
        synthesis=config(), crop_size=32, batch_size=4, steps_per_epoch=2, workers=workers, seed=seed
    )
    module.setup("fit")
    return [module.on_after_batch_transfer(batch, 0) for batch in module.train_dataloader()]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_one_seed_gives_one_batch_for_any_number_of_workers() -> None:
    here, again, workers = batches(0), batches(0), batches(2)
    for first, second, third in zip(here, again, workers, strict=True):
        for x, y, z in zip(*map(fields, (first, second, third)), strict=True):
            assert torch.equal(x, y)
            assert torch.equal(x, z)
    assert not torch.equal(here[0].lq, batches(0, seed=1)[0].lq)


def test_validation_shows_every_task_on_held_out_photographs() -> None:
    module = RestorationDataModule(
        synthesis=config(), batch_size=11, workers=0, validation_size=32, validation_photos=2
    )
    module.setup("fit")
    first, second = (module.on_after_batch_transfer(batch, 0) for batch in module.val_dataloader())
    assert first.task == second.task == NAMES
    assert not torch.equal(first.hq, second.hq)
    assert torch.equal(first.instruction, second.instruction)
    assert torch.equal(first.target, first.hq)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"fog": 1.0}}, "got fog"),
        ({"composites": (0.0,)}, "composites"),
        ({"matched": -1.0}, "modes"),
        ({"weights": dict.fromkeys(NAMES, 0.0)}, "frequencies"),
    ],
)
def test_configurations_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_severities_stay_within_their_bounds() -> None:
    """Those of lq and those of what is shown, of every member."""
    bounded = Synthesis(config(severities=(0.4, 0.6), composites=(0.5, 0.5)))
    streams = [generator(0, i) for i in range(200)]
    severities = bounded._severities(streams)
    assert severities is not None
    assert 0.4 <= severities.min() < 0.42
    assert 0.58 < severities.max() <= 0.6
    mild, strong = (
        Synthesis(only("matched", severities=(own, own), weights={name: float(name == "haze") for name in NAMES}))
        for own in (0.1, 0.9)
    )
    changes = [
        [(after - before).abs().mean() for before, after in ((batch.hq, batch.lq), (batch.ground, batch.instruction))]
        for batch in (own(crops(), range(6)) for own in (mild, strong))
    ]
    assert all(weak < much for weak, much in zip(*changes, strict=True))
    with pytest.raises(ValueError, match=r"severities: expected \(low, high\) in \[0, 1\]"):
        config(severities=(0.6, 0.4))


def test_each_process_has_something_to_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    module = RestorationDataModule(
        synthesis=config(), workers=0, validation_size=32, validation_photos=1, validation_tasks=["rain", "haze"]
    )
    module.setup("fit")
    monkeypatch.setattr(restoration, "world_size", lambda: 3)
    message = r"data\.validation_photos: expected at least 2, .* 3 processes has a sample, got 1 under 2 data\."
    with pytest.raises(ValueError, match=message):
        module.setup("fit")
