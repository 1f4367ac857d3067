"""Pictures are restored and scored alike, in turn or at once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_modules.clean import open_clean
from defusion.diffusion.model import Defusion
from defusion.evaluation.runner import Evaluator
from defusion.evaluation.tasks import degradation
from defusion.evaluation.testset import TestSet
from defusion.imageio import read_image, to_tensor, write_png
from defusion.instruction import VisualInstruction
from defusion.ledger import Row
from defusion.restore.restorer import Restorer


@pytest.fixture
def test(tmp_path: Path) -> TestSet:
    draw = torch.Generator().manual_seed(0)
    for name in "abcd":
        write_png(tmp_path / "photographs" / f"{name}.png", torch.rand(3, 24, 32, generator=draw))
    return TestSet(degradation("noise"), open_clean(str(tmp_path / "photographs")))


def evaluator(model: Defusion, **changes: Path) -> Evaluator:
    restorer = Restorer(model, "cpu")
    return replace(Evaluator(restorer, lambda sample: restorer.instruction(sample.shown), steps=1), **changes)  # type: ignore[arg-type]


def rows(own: Evaluator, test: TestSet, numbers: list[int]) -> list[Row]:
    found: list[Row] = []
    own.run(test, numbers, found.append)
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


def test_decoding_ahead_and_scoring_behind_give_the_same(model: Defusion, test: TestSet) -> None:
    own = evaluator(model)
    in_turn = rows(own, test, [3, 0, 2])
    assert [row["name"] for row in in_turn] == ["d", "a", "c"]
    own.restorer.device = torch.device("cuda")  # as far as the evaluator sees

    def on_the_cpu(sample: object) -> tuple[torch.Tensor, float, VisualInstruction]:
        own.restorer.device = torch.device("cpu")
        try:
            return Evaluator._timed(own, sample)  # type: ignore[arg-type]
        finally:
            own.restorer.device = torch.device("cuda")

    object.__setattr__(own, "_timed", on_the_cpu)
    assert rows(own, test, [3, 0, 2]) == in_turn
    assert rows(own, test, []) == []


def test_scores_are_those_of_the_saved_picture(model: Defusion, test: TestSet, tmp_path: Path) -> None:
    (row,) = rows(evaluator(model, save=tmp_path / "out"), test, [1])
    saved = to_tensor(read_image(tmp_path / "out" / "b.png"))
    scores = test.benchmark.protocol.scores(saved[None], test[1].hq[None])
    assert row["restored"]["psnr"] == pytest.approx(float(scores["psnr"]), abs=1e-5)
    assert row["input"]["psnr"] == pytest.approx(20.2, abs=1.0)
