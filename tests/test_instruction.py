"""Visual instructions."""

from pathlib import Path

import pytest
import torch

from defusion.degradations.library import NAMES
from defusion.degradations.standard import drawn
from defusion.grounds.chart import Chart
from defusion.imageio import write_png
from defusion.instruction import NULL, VisualInstruction

CHART = Chart(64)


@pytest.mark.parametrize("name", [*NAMES, "rain+noise"])
def test_a_name_shows_its_degradation_on_the_canonical_chart(name: str) -> None:
    shown, again = (VisualInstruction.named(name, CHART, seed=3) for _ in range(2))
    assert torch.equal(shown.ground, CHART.canonical())
    assert torch.equal(shown.picture, again.picture)
    assert (shown.picture - shown.ground).abs().mean() > 0.003
    assert shown.shown == name


@pytest.mark.parametrize("name", [*NAMES, "rain+noise"])
def test_parameters_of_a_picture_are_shown_as_they_are(name: str) -> None:
    def shown(severity: float, *key: int) -> torch.Tensor:
        made = VisualInstruction.parameter_matched(drawn(name, 5, severity=severity), CHART, *key)
        assert made.shown == name
        assert torch.equal(made.ground, CHART.canonical())
        return made.picture - made.ground

    assert shown(0.0, 1).abs().max() < 1e-3
    assert shown(0.2, 1).square().mean() < shown(0.9, 1).square().mean()
    assert torch.equal(shown(0.9, 1), shown(0.9, 1))


def test_the_fields_of_a_chart_are_its_own() -> None:
    """Parameters are those of the picture, noise is not: neither the picture's nor that of another chart."""
    ground = CHART.canonical()
    for name, is_random in (("noise", True), ("motion_blur", False)):
        degradation = drawn(name, 5)
        first, second = (VisualInstruction.parameter_matched(degradation, CHART, key).picture for key in (1, 2))
        assert torch.equal(first, second) != is_random
        assert torch.equal(first, degradation.apply(ground)) != is_random


def test_the_null_instruction_is_the_clean_chart() -> None:
    shown = VisualInstruction.named(NULL, CHART)
    assert torch.equal(shown.ground, shown.picture)


def test_pictures_of_a_real_chart_are_taken(tmp_path: Path) -> None:
    ground = CHART.canonical()[0]
    write_png(tmp_path / "clean.png", ground)
    write_png(tmp_path / "degraded.png", ground * 0.5)
    shown = VisualInstruction.of_pictures(tmp_path / "clean.png", tmp_path / "degraded.png", 64)
    assert torch.allclose(shown.ground[0], ground, atol=1 / 255)
    assert torch.allclose(shown.picture[0], ground * 0.5, atol=1 / 255)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the ground's shape"):
        VisualInstruction(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16, 16), "rain")
