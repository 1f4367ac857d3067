"""The stopwatch counts training alone, over resumptions, and its log is read back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from defusion.evaluation.callback import TaskMetricsCallback
from defusion.study import timing
from defusion.study.timing import WARM_UP, Record, Stopwatch
from defusion.tokenizer.network import Tokenizer
from tests.diffusion.test_module import data, module, trainer
from tests.study.made_up_runs import log


def test_validations_and_lost_steps_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, logged = SimpleNamespace(now=100.0), []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    run: Any = SimpleNamespace(
        sanity_checking=False,
        global_step=7,
        loggers=[SimpleNamespace(log_metrics=lambda values, step: logged.append((values, step)))],
    )
    learner: Any = SimpleNamespace(log=lambda name, value: logged.append((name, value)))
    watch = Stopwatch()
    watch.on_train_start(run, learner)
    clock.now += 10
    watch.on_validation_start(run, learner)
    clock.now += 1000
    watch.on_validation_epoch_end(run, learner)
    watch.on_validation_end(run, learner)
    clock.now += 5
    state = watch.state_dict()
    clock.now += 50  # lost
    again = Stopwatch()
    again.load_state_dict(state)
    again.on_train_start(run, learner)
    clock.now += 2
    again.on_train_batch_end(run, learner, None, None, 0)
    again.on_train_end(run, learner)
    assert logged == [("val/seconds", 10.0), ("train/seconds", 17.0), ({"train/seconds": 17.0}, 6)]


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_training_is_read_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer")
    callbacks: list[Callback] = [TaskMetricsCallback(num_images=0), Stopwatch()]
    own = trainer(
        tmp_path,
        7,
        logger=TensorBoardLogger(tmp_path, name="", version=""),
        limit_val_batches=1,
        log_every_n_steps=2,
        callbacks=callbacks,
    )
    own.fit(module(str(tmp_path / "tokenizer")), data(steps=3))
    record = Record.read(tmp_path)
    assert list(record.seconds) == [1, 3, 5, 6]
    assert list(record.seconds.values()) == sorted(record.seconds.values())
    assert len(record.curve) == 2
    assert 0 < record.curve[0].seconds < record.curve[1].seconds < record.total


def test_the_time_of_a_step_is_the_median_after_the_warm_up() -> None:
    slow, stall = 2.0, 9.0
    steps = [slow] * WARM_UP + [0.25] * 30 + [stall] + [0.25] * 30
    record = Record({step: sum(steps[: step + 1]) for step in range(len(steps))}, ())
    assert record.step == pytest.approx(0.25)
    every_fifth = {step: seconds for step, seconds in record.seconds.items() if step % 5 == 4}
    assert Record(every_fifth, ()).step == pytest.approx(0.25)


def test_a_log_is_read(tmp_path: Path) -> None:
    log(tmp_path, 40, 0.25)
    record = Record.read(tmp_path)
    assert record.step == pytest.approx(0.25)
    assert record.total == pytest.approx(13)
    assert [point.psnr_gain for point in record.curve] == [1, 2, 3, 4]


def test_a_training_without_a_stopwatch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected TensorBoard events with train/seconds"):
        Record.read(tmp_path)
    log(tmp_path, 1, 0.5)
    with pytest.raises(ValueError, match="expected two logged steps or more after the first 19, got"):
        _ = Record.read(tmp_path).step
