"""What the model itself took for wrong is counted: all of it, and what it was surest of."""

from pathlib import Path

import pytest
import torch

from data_modules.clean import open_clean
from defusion.describer.network import Describer
from defusion.diffusion.model import Defusion
from defusion.evaluation.outcome import Measured
from defusion.evaluation.runner import Evaluator
from defusion.evaluation.tables import csv, footnotes
from defusion.evaluation.tasks import find_tasks
from defusion.evaluation.testset import TestSet
from defusion.imageio import write_png
from defusion.restore.restorer import Restorer
from tests.describer.test_network import TINY, sure_of
from tests.evaluation.outcomes import made


@pytest.mark.parametrize(
    ("task", "logits", "shown", "named", "surest"),
    [
        ("noise", {"noise": 5.0}, "noise", True, True),
        ("noise", {"rain": 4.0, "noise": 5.0}, "rain+noise", False, True),
        ("noise", {"rain": 5.0, "noise": 4.0}, "rain+noise", False, False),
        ("noise", {"noise": -1.0}, "clean", False, False),
        ("haze+noise", {"noise": 4.0, "haze": 5.0}, "haze+noise", True, True),
        ("clean", {}, "clean", True, True),
        ("clean", {"rain": 1.0}, "rain", False, False),
    ],
)
def test_names_are_compared_with_the_true_ones(
    model: Defusion, tmp_path: Path, task: str, logits: dict[str, float], shown: str, named: bool, surest: bool
) -> None:
    write_png(tmp_path / "photographs" / "a.png", torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0)))
    restorer = Restorer(model, "cpu", sure_of(Describer(TINY, model.tokenizer).eval(), **logits))
    own = Evaluator(restorer, lambda sample: restorer.describe(sample.lq)[0], steps=1)
    rows: list[dict[str, object]] = []
    own.run(TestSet(find_tasks(task)[0], open_clean(str(tmp_path / "photographs"))), [0], rows.append)
    assert [(row["shown"], row["named"], row["surest"]) for row in rows] == [(shown, named, surest)]


def test_shares_are_of_the_pictures_that_were_described() -> None:
    scores = {"psnr": 20.0, "ssim": 0.5}
    told = made()
    assert told.named is None
    assert told.surest is None
    assert "surest" not in footnotes([told])[0]
    found = [(True, True), (False, True), (False, False), (True, True)]
    pictures = [Measured(f"{n}", scores, scores, 0.1, "rain", *own) for n, own in enumerate(found)]
    outcome = made(per_image=tuple(pictures), kind="auto")
    assert (outcome.named, outcome.surest) == (0.5, 0.75)
    assert "Named exactly: 50.0% of the pictures; the surest name is right in 75.0%." in footnotes([outcome])[0]
    about = outcome.as_json()
    assert (about["named_exactly"], about["surest_right"]) == (0.5, 0.75)
    assert about["per_image"][1] == {"name": "1", "input": scores, "restored": scores, "shown": "rain"} | {
        "named": False,
        "surest": True,
    }
    assert csv([outcome]).splitlines()[1].endswith(",rain")
