import math

import pytest
import torch
from torch.nn.functional import avg_pool2d

from defusion.grounds.canvas import Construct
from defusion.grounds.colours import COLOUR_CHECKER, colour_checker, grey_steps
from defusion.grounds.concentric import siemens_star, zone_plate
from defusion.grounds.constructs import GROUPS
from defusion.grounds.random_textures import dead_leaves, pink_noise, white_noise
from defusion.random import generator
from defusion.types import Image

CONSTRUCTS = [construct for group in GROUPS.values() for construct in group]
OF_THE_PIXEL_GRID = (white_noise, pink_noise)
every_construct = pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.__name__)


def drawn(construct: Construct, n: int, size: int, seed: int = 0) -> Image:
    return construct(n, size, [generator(seed, i) for i in range(n)], "cpu")


def test_pool_has_four_groups_of_at_least_four() -> None:
    assert list(GROUPS) == ["concentric", "random", "natural", "colours"]
    assert all(len(set(group)) >= 4 for group in GROUPS.values())
    assert len(set(CONSTRUCTS)) == len(CONSTRUCTS)


@every_construct
@pytest.mark.parametrize("size", [8, 45, 96])
def test_shape_range_and_contrast(construct: Construct, size: int) -> None:
    pictures = drawn(construct, 3, size)
    assert pictures.shape == (3, 3, size, size)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert size == 8 or pictures.std((1, 2, 3)).min() > 0.02


@every_construct
def test_same_generator_same_picture_whatever_the_batch(construct: Construct) -> None:
    batch = drawn(construct, 4, 32)
    torch.testing.assert_close(drawn(construct, 4, 32), batch, rtol=0, atol=0)
    alone = construct(1, 32, [generator(0, 2)], "cpu")
    torch.testing.assert_close(alone[0], batch[2], rtol=0, atol=2e-5)


@every_construct
def test_samples_differ(construct: Construct) -> None:
    pictures = construct(6, 32, generator(9), "cpu")
    assert any((pictures[0] - other).abs().mean() > 0.01 for other in pictures[1:])


@pytest.mark.parametrize(
    "construct",
    [c for c in CONSTRUCTS if c not in OF_THE_PIXEL_GRID],
    ids=lambda construct: construct.__name__,
)
def test_anti_aliased(construct: Construct) -> None:
    """Drawn at twice the size and averaged, the picture is the one drawn directly."""
    direct, averaged = drawn(construct, 4, 64), avg_pool2d(drawn(construct, 4, 128), 2)
    difference = (direct - averaged).abs()
    assert difference.mean() < (0.06 if construct is dead_leaves else 0.03)
    assert (difference > 0.2).float().mean() < (0.1 if construct is dead_leaves else 0.03)


def test_siemens_star_has_whole_cycles_on_a_circle() -> None:
    stars = drawn(siemens_star, 8, 256).mean(1)
    angle = torch.arange(1024) * (2 * math.pi / 1024)
    column = (128 + 100 * angle.cos() - 0.5).round().long()
    row = (128 + 100 * angle.sin() - 0.5).round().long()
    spectrum = torch.fft.rfft(stars[:, row, column] - 0.5).abs()
    cycles = spectrum.argmax(1)
    assert ((cycles >= 12) & (cycles <= 32)).all()
    assert len(cycles.unique()) > 2
    harmonics = spectrum.scatter(1, cycles[:, None], 0)[:, 1:]
    assert (harmonics.max(1).values < 0.15 * spectrum.max(1).values).all()


def test_zone_plate_frequency_is_linear_in_the_radius() -> None:
    size = 1024
    plates = drawn(zone_plate, 4, size).mean(1)
    profile = plates[:, size // 2, size // 2 :] - 0.5
    for row in profile:
        crossings = (row[:-1].sign() != row[1:].sign()).nonzero()[:, 0].float()
        middles, gaps = (crossings[1:] + crossings[:-1]) / 2, crossings.diff()
        frequency = 0.5 / gaps
        slope = frequency / middles
        assert slope[3:].std() / slope[3:].mean() < 0.1


@pytest.mark.parametrize(("construct", "slope"), [(pink_noise, -1.0), (white_noise, 0.0)])
def test_noise_spectrum(construct: Construct, slope: float) -> None:
    size = 128
    pictures = drawn(construct, 12, size).mean(1)
    spectrum = torch.fft.fft2(pictures - pictures.mean((-2, -1), keepdim=True)).abs().pow(2).mean(0)
    axis = torch.fft.fftfreq(size) * size
    frequency = torch.hypot(axis[:, None], axis[None, :]).round()
    radii = torch.arange(3, 50)
    amplitude = torch.stack([spectrum[frequency == radius].mean().sqrt() for radius in radii])
    x, y = radii.float().log(), amplitude.log()
    fitted = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert fitted == pytest.approx(slope, abs=0.12)


def test_dead_leaves_are_many_flat_regions_of_many_sizes() -> None:
    picture = drawn(dead_leaves, 1, 256)[0]
    flat = (picture[:, 1:, 1:] - picture[:, :-1, :-1]).abs().amax(0) < 1e-4
    assert flat.float().mean() > 0.25
    colours, areas = (picture[:, 1:, 1:][:, flat] * 255).round().unique(dim=1, return_counts=True)
    assert colours.shape[1] > 300
    assert areas.max() > 1000
    assert (areas < 30).sum() > 100


def test_dead_leaves_have_the_spectrum_of_photographs() -> None:
    pictures = drawn(dead_leaves, 12, 128).mean(1)
    spectrum = torch.fft.fft2(pictures - pictures.mean((-2, -1), keepdim=True)).abs().pow(2).mean(0)
    low, high = spectrum[0, 4].sqrt(), spectrum[0, 28:36].mean().sqrt()
    assert 0.7 < math.log(low / high) / math.log(32 / 4) < 1.7


def test_colour_checker_has_the_published_values() -> None:
    published = torch.tensor(COLOUR_CHECKER).view(24, 3).float()
    for picture in drawn(colour_checker, 6, 96):
        values = (picture * 255).flatten(1).T
        distance = torch.cdist(published, values, p=torch.inf)
        assert (distance.min(1).values <= 1).all()
        assert ((distance <= 1).sum(1) > 96 * 96 / 24 * 0.6).all()


def test_grey_steps_are_monotone_and_crossed() -> None:
    for picture in drawn(grey_steps, 8, 128):
        assert (picture == picture[:1]).all()
        grey = picture[0]
        if len(grey[8].unique()) < len(grey[:, 8].unique()):
            grey = grey.T
        directions = set()
        for scale in (grey[8], grey[-8]):
            change = scale.diff()
            assert (change >= -1e-6).all() or (change <= 1e-6).all()
            directions.add(bool(change.sum() > 0))
            assert scale.min() < 0.01
            assert scale.max() > 0.99
            assert 8 <= len((scale * 255).round().unique()) <= 40
        assert directions == {True, False}
