"""The standard degradation: one draw, for the picture, for its parts and for a chart."""

import pytest
import torch

from defusion.degradations.library import NAMES
from defusion.degradations.standard import degrade, drawn, standard
from defusion.random import generator


def picture(size: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", [*NAMES, "low_light+haze+snow", "noise+rain"])
def test_one_source_gives_the_parameters_and_then_the_fields(spec: str) -> None:
    operator, severity = standard(spec)
    source = generator(3, 4)
    expected = operator.apply(picture(), operator.draw(1, source, severity), source)
    assert torch.equal(degrade(picture(), spec, 3, 4), expected)
    degradation = drawn(spec, 3, 4)
    assert torch.equal(degradation.apply(picture()), expected)
    assert torch.equal(degradation.apply(picture()), expected)


def test_a_severity_is_that_of_every_member() -> None:
    params = drawn("haze+noise", 0, severity=0.3).params
    assert params["haze.severity"].tolist() == params["noise.severity"].tolist() == pytest.approx([0.3])


@pytest.mark.parametrize("spec", ["haze+noise", "rain+raindrop", "snow+noise"])
def test_without_a_member_the_other_acts_bit_for_bit(spec: str) -> None:
    first, second = spec.split("+")
    degradation = drawn(spec, 7)
    assert torch.equal(degradation.without(second).without(first).apply(picture()), picture())
    begun = degradation.without(second).apply(picture())
    assert not torch.equal(begun, picture())
    assert torch.equal(degradation.without(first).apply(begun), degradation.apply(picture()))


def test_a_member_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="name: expected one of rain, noise, got 'haze'"):
        drawn("rain+noise", 0).without("haze")
