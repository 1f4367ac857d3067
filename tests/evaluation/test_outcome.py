"""Outcomes: means of per-picture values, finite numbers, and what may be compared."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from defusion.evaluation.metrics import MAX_PSNR
from defusion.evaluation.outcome import Measured
from tests.evaluation.outcomes import MATCHED, ORACLE, OTHER, STANDIN, SUBSET, SURPLUS, WHOLE, made

KEYS = [
    *("task", "dataset", "protocol", "num_images", "input", "restored", "per_image", "weights", "steps"),
    *("standin", "subset", "oracle", "instruction", "layout", "seed"),
]


def test_means_are_those_of_numpy() -> None:
    gains = np.random.default_rng(0).normal(3, 2, 101)
    outcome = made(gains.tolist())
    assert outcome.restored["psnr"] == pytest.approx(np.mean(20 + gains), abs=1e-12)
    assert outcome.gain == pytest.approx(gains.mean(), abs=1e-12)
    assert outcome.input == {"psnr": 20.0, "ssim": 0.5}
    assert outcome.seconds == 0.25


def test_json_has_exactly_the_agreed_keys() -> None:
    found = WHOLE.as_json()
    assert list(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["num_images"] == len(found["per_image"]) == 3
    assert found["per_image"][1] == {
        "name": "scene/0001",
        "input": {"psnr": 20.0, "ssim": 0.5},
        "restored": {"psnr": 19.75, "ssim": 0.75},
    }
    assert found["weights"] == {"path": "runs/diffusion/nano/weights", "sha256": "0123456789abcdef" * 4}


def test_the_time_is_known_when_every_picture_was_timed_and_changes_no_file() -> None:
    scores = {"psnr": 20.0, "ssim": 0.5}
    timed, untimed = (replace(WHOLE, per_image=(Measured("a", scores, scores, t),) * 3) for t in (0.5, None))
    assert timed.seconds == 0.5
    assert untimed.seconds is None
    assert replace(WHOLE, per_image=(timed.per_image[0], *untimed.per_image[1:])).seconds is None
    assert timed.as_json() == untimed.as_json()


@pytest.mark.parametrize("metric", ["psnr", "psnr_y"])
def test_equal_pictures_count_as_the_largest_psnr(metric: str) -> None:
    scores = {"psnr": 20.0, "ssim": 0.5, "psnr_y": 20.0}
    assert Measured("a", scores, scores | {metric: math.inf}).restored[metric] == MAX_PSNR


@pytest.mark.parametrize(
    "bad", [{"psnr": math.nan}, {"psnr": -math.inf}, {"ssim": math.nan}, {"ssim": math.inf}, {"lpips": math.nan}]
)
def test_other_numbers_that_json_lacks_are_refused(bad: dict[str, float]) -> None:
    scores = {"psnr": 20.0, "ssim": 0.5, "lpips": 0.1}
    with pytest.raises(ValueError, match=rf"picture 'a', restored: expected a finite {next(iter(bad))}"):
        Measured("a", scores, scores | bad)


def test_pictures_have_one_set_of_metrics() -> None:
    scores = {"psnr": 20.0, "ssim": 0.5}
    with pytest.raises(ValueError, match="expected psnr and ssim"):
        Measured("a", {"psnr": 20.0}, scores)
    with pytest.raises(ValueError, match="same metrics of input and restored"):
        Measured("a", scores, scores | {"mae": 0.1})
    more = Measured("b", scores | {"mae": 0.1}, scores | {"mae": 0.1})
    with pytest.raises(ValueError, match=r"\['mae', 'psnr', 'ssim'\] for 'b', \['psnr', 'ssim'\] before"):
        replace(made(), per_image=(*made().per_image, more))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"gains": ()}, "at least one picture"), ({"expected": 1111}, "3 of 1111 pictures are a subset")],
)
def test_an_outcome_is_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**fields)


def test_only_whole_test_sets_of_the_paper_are_comparable() -> None:
    assert WHOLE.comparable
    assert not made(expected=None).comparable
    assert made(expected=3, kind="oracle").labels == ("oracle",)
    assert made(expected=3, kind="parameter-matched").labels == ("parameter-matched",)
    assert [own.labels for own in (WHOLE, OTHER)] == [(), ()]
    assert [own.labels for own in (STANDIN, SUBSET, SURPLUS)] == [
        ("stand-in",),
        ("subset",),
        ("other number of pictures",),
    ]
    assert made(standin=True, subset=True, expected=1111).labels == ("stand-in", "subset")
    assert not any(own.comparable for own in (STANDIN, SUBSET, SURPLUS, OTHER, ORACLE, MATCHED))
    assert [own.as_json()["oracle"] for own in (WHOLE, MATCHED, ORACLE)] == [False, False, True]
