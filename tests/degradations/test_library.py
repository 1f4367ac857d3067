"""The library and composition: order, leaving out, names."""

import pytest
import torch

from defusion.degradations.library import LIBRARY, NAMES, Compose, leave_out, parse, rows_of
from defusion.degradations.standard import NOISE_SIGMA, degrade, standard
from defusion.random import generator

ALL = Compose(tuple(LIBRARY.values()))


def pictures(n: int = 4, size: int = 48) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def streams(n: int, key: int = 0) -> list[torch.Generator]:
    return [generator(key, i) for i in range(n)]


def test_the_eleven_names() -> None:
    assert set(NAMES) == {
        "motion_blur",
        "defocus_blur",
        "rain",
        "raindrop",
        "snow",
        "haze",
        "noise",
        "jpeg",
        "low_light",
        "underwater",
        "downsample",
    }


@pytest.mark.parametrize("spec", ["rain+snow+noise", "noise+snow+rain", "haze+low_light"])
def test_members_act_in_the_order_given(spec: str) -> None:
    composite, x = parse(spec), pictures(1)
    params = composite.draw(1, generator(0))
    seed = int(torch.randint(2**62, (1,), generator=generator(1)))
    expected = x
    for number, member in enumerate(composite.members):
        own = {k.removeprefix(f"{member.name}."): v for k, v in params.items() if k.startswith(f"{member.name}.")}
        expected = member.apply(expected, own, [generator(seed, number)])
    assert torch.equal(composite.apply(x, params, generator(1)), expected)
    assert composite.name == spec


@pytest.mark.parametrize("left", range(3))
def test_leaving_a_member_out_keeps_the_others_bit_for_bit(left: int) -> None:
    """Leaving out is the same as the member at its identity: the others have their own random streams."""
    composite, x = parse("low_light+snow+noise"), pictures()
    params = composite.draw(4, streams(4))
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[:, left] = True
    without = composite.apply(x, leave_out(params, mask), streams(4, 1))
    kept = [member for number, member in enumerate(composite.members) if number != left]
    seeds = [int(torch.randint(2**62, (), generator=own)) for own in streams(4, 1)]
    expected = x
    for member in kept:
        own = {k.removeprefix(f"{member.name}."): v for k, v in params.items() if k.startswith(f"{member.name}.")}
        number = composite.members.index(member)
        expected = member.apply(expected, own, [generator(seed, number) for seed in seeds])
    assert torch.equal(without, expected)


def test_each_sample_has_its_own_sequence() -> None:
    sequence = torch.tensor([[NAMES.index("rain"), NAMES.index("noise")], [NAMES.index("haze"), -1], [-1, -1]])
    params = ALL.draw(3, streams(3), sequence=sequence)
    x = pictures(3)
    y = ALL.apply(x, params, streams(3, 1))
    assert ALL.names(params) == ("rain+noise", "haze", "clean")
    assert torch.equal(y[2], x[2])
    for row in range(3):
        rows = torch.tensor([row])
        assert torch.equal(ALL.apply(x[rows], rows_of(params, rows), [generator(1, row)]), y[rows])


def test_severity_of_each_member() -> None:
    composite = parse("haze+noise")
    params = composite.draw(2, generator(0), torch.tensor([[0.0, 0.5], [1.0, 0.0]]))
    assert params["haze.severity"].tolist() == [0, 1]
    assert params["noise.severity"].tolist() == [0.5, 0]


def test_unknown_and_double_names_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean snow"):
        parse("snwo")
    with pytest.raises(ValueError, match="distinct"):
        parse("rain+rain")


def test_the_standard_noise_is_gaussian_of_sigma_25() -> None:
    flat = torch.full((1, 3, 256, 256), 0.5)
    noisy = degrade(flat, "noise", 0)
    assert (noisy - flat).std().item() * 255 == pytest.approx(NOISE_SIGMA, rel=0.02)
    assert torch.equal(noisy, degrade(flat, "noise", 0))
    assert not torch.equal(noisy, degrade(flat, "noise", 1))


def test_the_standard_composite_has_a_severity_a_member() -> None:
    operator, severity = standard("rain+noise")
    assert operator.name == "rain+noise"
    assert severity.shape == (1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_one_draw_at_64_128_and_512_px_has_the_same_statistics(name: str) -> None:
    """Joint draw: equal parameters, and the same RMS change of one texture at every size."""
    member = LIBRARY[name]
    params = member.draw(6, streams(6), torch.full((6,), 0.6))
    texture = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(2)).sqrt()
    smooth = torch.nn.functional.avg_pool2d(texture, 5, 1, 2)
    changes = []
    for size, repeats in ((64, 16), (128, 8), (512, 1)):
        x = smooth[..., :size, :size].expand(6, -1, -1, -1)
        squares = [
            (member.apply(x, params, streams(6, 10 + repeat)) - x).square().mean((1, 2, 3)) for repeat in range(repeats)
        ]
        changes.append(torch.stack(squares).mean().sqrt())
    assert min(changes) > 0.6 * max(changes), changes
    assert min(changes) > 1e-3
