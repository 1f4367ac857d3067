"""Obedience: models of known behaviour give the exact numbers."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from defusion.degradations.library import EXCLUSIVE, NAMES
from defusion.evaluation.benchmarks import Synthesis
from defusion.evaluation.metrics import MAX_PSNR
from defusion.evaluation.obedience import PAIRS, Answer, Case, Obedience, measure, relative_rms
from defusion.evaluation.synthesis import degradation_of, make_input
from defusion.evaluation.testset import SEED, as_tensor
from defusion.grounds.chart import Chart
from defusion.instruction import NULL, VisualInstruction
from defusion.restore.pictures import PictureLike
from defusion.restore.restoration import Restoration
from defusion.restore.restorer import Instruction, Restorer

STANDARD = Synthesis("standard")


class Photographs:
    """Pictures of noise, without a file."""

    layout, identity = "made up", "made up"

    def __init__(self, count: int, *size: int) -> None:
        own = torch.Generator().manual_seed(0)
        self.pictures = torch.randint(60, 190, (count, *size, 3), generator=own, dtype=torch.uint8)
        self.names: Sequence[str] = [f"photograph {number}" for number in range(count)]
        self.facts: Sequence[Mapping[str, str]] = [{}] * count

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> tuple[None, NDArray[Any]]:
        return None, self.pictures[position].numpy()

    def known(self) -> dict[bytes, tuple[int, str]]:
        """Each picture that may come, by its bytes: number of the photograph and its degradations, "" for clean."""
        found = {}
        for number in range(len(self)):
            hq = as_tensor(self[number][1])
            found[key(hq)] = (number, "")
            for spec in (*NAMES, *map("+".join, PAIRS)):
                found[key(make_input(STANDARD, spec, hq, number, SEED))] = (number, spec)
        assert len(found) == len(self) * (1 + len(NAMES) + len(PAIRS))
        return found


class Fake(Restorer):
    """A model that answers by a function of a picture (3, H, W) and what it is shown; notes what it was asked."""

    def __init__(self, answer: Callable[[Tensor, str], Tensor]) -> None:
        self.chart = Chart(16)
        self.answer = answer
        self.asked: list[tuple[Tensor, str]] = []

    def __call__(self, picture: PictureLike, instruction: Instruction = "auto", **_: Any) -> Restoration:
        assert isinstance(picture, Tensor)
        assert isinstance(instruction, VisualInstruction)
        self.asked.append((picture, instruction.shown))
        found = Restoration(picture, torch.zeros_like(picture), (instruction,))
        vars(found)["image"] = self.answer(picture, instruction.shown)  # as it is, unclipped
        return found


def key(picture: Tensor) -> bytes:
    return picture.mul(255).round().byte().numpy().tobytes()


def test_a_model_that_does_nothing_changes_nothing_and_obeys_no_part() -> None:
    found = measure(Fake(lambda lq, _: lq), Photographs(2, 16, 16))
    assert set(found.answers.values()) == {Answer(0.0, 0.0, MAX_PSNR, MAX_PSNR)}
    assert tuple(found.answers) == NAMES
    assert found.partial == 0
    json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize("disobedience", ["none", "hesitant", "all removed"])
def test_a_model_that_removes_what_it_is_shown_is_obedient(disobedience: str) -> None:
    photographs = Photographs(2, 16, 16)
    known = photographs.known()

    def answer(lq: Tensor, shown: str) -> Tensor:
        number, spec = known[key(lq)]
        if shown not in spec.split("+"):
            return lq
        hq = as_tensor(photographs[number][1])
        target = degradation_of(STANDARD, spec, number, SEED).without(shown).apply(hq[None])[0]
        return {"none": target, "hesitant": 0.4 * target + 0.6 * lq, "all removed": hq}[disobedience]

    found = measure(Fake(answer), photographs)
    assert set(found.answers.values()) == {Answer(0.0, 0.0, MAX_PSNR, MAX_PSNR)}
    assert found.partial == {"none": 1, "hesitant": 0, "all removed": 0}[disobedience]
    assert all(case.obeyed == (disobedience == "none") for case in found.cases)


def test_a_model_of_known_changes_gives_the_exact_numbers() -> None:
    photographs = Photographs(2, 16, 16)
    known = photographs.known()

    def answer(lq: Tensor, shown: str) -> Tensor:
        number, spec = known[key(lq)]
        if not spec:
            return lq + (0.1, 0.01)[number]
        return lq + (0.05 if shown == spec else 0.01 if shown == NULL else 0.02)

    found = measure(Fake(answer), photographs)
    for own in (*found.answers.values(), found.overall):
        assert own.null == pytest.approx(0.2, rel=1e-4)
        assert own.mismatched == pytest.approx(0.4, rel=1e-4)
        assert own.clean_mean == pytest.approx(30, abs=1e-3)
        assert own.clean_min == pytest.approx(20, abs=1e-3)


def test_overall_is_over_pictures_and_not_over_degradations() -> None:
    """Half of the change of haze by wrong instructions, ten times the small change of noise: little overall."""
    photographs = Photographs(1, 16, 16)
    known = photographs.known()

    def answer(lq: Tensor, shown: str) -> Tensor:
        spec = known[key(lq)][1]
        if not spec:
            return lq
        right, wrong = (0.2, 0.1) if spec == "haze" else (0.001, 0.01)
        return lq + (right if shown == spec else 0 if shown == NULL else wrong)

    found = measure(Fake(answer), photographs)
    assert found.answers["noise"].mismatched == pytest.approx(10, rel=1e-2)
    expected = math.sqrt((0.1**2 + 10 * 0.01**2) / (0.2**2 + 10 * 0.001**2))
    assert found.overall.mismatched == pytest.approx(expected, rel=1e-3)


def test_each_picture_is_mismatched_with_another_and_ten_pictures_with_all() -> None:
    photographs = Photographs(11, 16, 16)
    restorer = Fake(lambda lq, _: lq)
    measure(restorer, photographs)
    each = len(restorer.asked) // len(photographs)
    shown: dict[str, list[str]] = {name: [] for name in NAMES}
    for number in range(len(photographs)):
        for index, name in enumerate(NAMES):
            right, null, other, clean = restorer.asked[each * number + 4 * index :][:4]
            assert (right[1], null[1], clean[1]) == (name, NULL, name)
            assert torch.equal(right[0], make_input(STANDARD, name, clean[0], number, SEED))
            assert torch.equal(right[0], other[0])
            shown[name].append(other[1])
    for index, name in enumerate(NAMES):
        assert shown[name][:10] == [NAMES[(index + step) % 11] for step in range(1, 11)]
        assert shown[name][10] == shown[name][0]


@pytest.mark.parametrize(("count", "cases"), [(1, 60), (7, 63), (31, 62)])
def test_composites_are_many_and_varied(count: int, cases: int) -> None:
    found = measure(Fake(lambda lq, _: lq), Photographs(count, 16, 16)).cases
    assert len(found) == cases
    assert min(Counter(case.photograph for case in found).values()) >= 2
    assert {case.degradations for case in found} == set(PAIRS)
    firsts = Counter(case.shown == case.degradations[0] for case in found)
    assert abs(firsts[True] - firsts[False]) <= 1
    assert len({(case.degradations, case.shown) for case in found}) == cases
    assert {case.shown for case in found} == set(NAMES)
    few = [name for case in found[:4] for name in case.degradations]
    assert len(set(few)) >= 6


def test_composites_go_together_in_the_order_of_the_library() -> None:
    assert len(PAIRS) == len(set(PAIRS)) >= 20
    for pair in PAIRS:
        assert NAMES.index(pair[0]) < NAMES.index(pair[1])
        assert all(len(set(pair) & exclusive) < 2 for exclusive in EXCLUSIVE)


@pytest.mark.parametrize(("size", "side"), [(16, (16, 16)), (24, (20, 24)), (256, (20, 33))])
def test_the_middle_of_a_photograph_is_taken(size: int, side: tuple[int, int]) -> None:
    photographs = Photographs(1, 20, 33)
    restorer = Fake(lambda lq, _: lq)
    measure(restorer, photographs, size)
    top, left = (20 - side[0]) // 2, (33 - side[1]) // 2
    middle = as_tensor(photographs[0][1])[:, top : top + side[0], left : left + side[1]]
    assert torch.equal(restorer.asked[3][0], middle)


def test_a_change_relative_to_none() -> None:
    assert relative_rms([0.04, 0.0], [0.01, 0.03]) == pytest.approx(1)
    assert relative_rms([0.0, 0.0], [0.0, 0.0]) == 0
    assert relative_rms([0.1, 0.0], [0.0, 0.0]) == math.inf
    own = Answer(math.inf, 0.5, 40, 30)
    found = Obedience({"rain": own}, own, (Case("a", ("rain", "noise"), "rain", True),))
    written = found.as_json()
    assert written["degradations"]["rain"]["null"] is None
    assert written["all"]["mismatched"] == 0.5
    assert (found.obeyed("rain"), found.obeyed("noise")) == ("1 of 1", "0 of 0")
    assert written["partial"]["obeyed"] == 1


def test_without_a_photograph_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="photographs: expected at least one"):
        measure(Fake(lambda lq, _: lq), Photographs(0, 16, 16))
