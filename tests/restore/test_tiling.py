"""Tiles: they cover a picture, add up to it, and agree on its noise."""

import itertools
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from defusion.restore.noise_field import NoiseField, normals_at
from defusion.restore.tiling import Group, Tiling, Window, blended

SIZES = [(1, 1), (48, 48), (49, 300), (3, 500), (200, 97), (129, 64), (177, 401)]


def as_it_is(tiles: Tensor, rows: Sequence[int], windows: Sequence[Window]) -> Tensor:
    return tiles


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("tiling", [Tiling(48, 16, 8), Tiling(96, 24, 4), Tiling(64, 8, 8)], ids=str)
def test_tiles_add_up_to_the_picture(height: int, width: int, tiling: Tiling) -> None:
    windows = tiling.windows(height, width)
    total = torch.zeros(height, width)
    for own in windows:
        assert own.top % tiling.multiple == own.left % tiling.multiple == 0
        assert own.bottom <= height
        assert own.right <= width
        assert max(own.height, own.width) <= tiling.size
        own.of(total).add_(tiling.weights(own, height, width))
    assert torch.allclose(total, torch.ones(height, width), atol=1e-6)
    pictures = torch.rand(2, 3, height, width)
    assert torch.allclose(blended(pictures, tiling, as_it_is), pictures, atol=1e-6)


def test_neighbours_share_the_overlap() -> None:
    spans = [(own.left, own.right) for own in Tiling(96, 32, 8).windows(8, 500)]
    assert len(spans) > 3
    assert all(end - start == 32 for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_local_filter_is_the_same_in_tiles(batch: int) -> None:
    """One that looks no further than a quarter of the overlap: the rest of a tile's border counts for nothing."""
    kernel = torch.rand(3, 1, 9, 9, generator=torch.Generator().manual_seed(0)) / 81

    def filtered(x: Tensor, *_: object) -> Tensor:
        return F.conv2d(x, kernel, padding=4, groups=3)

    pictures = torch.rand(2, 3, 150, 260, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(blended(pictures, Tiling(64, 16, 8), filtered, batch), filtered(pictures), atol=1e-6)


def test_every_tile_knows_its_place_and_none_comes_twice() -> None:
    seen: list[tuple[int, Window]] = []

    def note(tiles: Tensor, rows: Sequence[int], windows: Sequence[Window]) -> Tensor:
        assert len({tile.shape for tile in tiles}) == 1
        assert len(tiles) <= 2
        seen.extend(zip(rows, windows, strict=True))
        return tiles

    watched: list[int] = []

    def watch(groups: list[Group]) -> list[Group]:
        watched.append(len(groups))
        return groups

    blended(torch.rand(2, 3, 100, 130), Tiling(48, 16, 8), note, 2, watch)
    assert len(set(seen)) == len(seen) == 2 * len(Tiling(48, 16, 8).windows(100, 130))
    assert watched[0] >= len(seen) / 2


@pytest.mark.parametrize(("size", "overlap"), [(50, 16), (48, 12), (40, 16)])
def test_sizes_that_do_not_fit_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Tiling(size, overlap, 8)


def test_the_noise_of_a_place_is_one_whatever_the_window() -> None:
    field = NoiseField((3, 1))
    whole = field.at(0, Window(0, 0, 200, 300))
    part = Window(63, 120, 70, 129)
    assert torch.equal(field.at(0, part), part.of(whole))
    assert abs(float(whole.mean())) < 0.01
    assert float(whole.std()) == pytest.approx(1, abs=0.01)
    for other in (field.at(1, Window(0, 0, 200, 300)), NoiseField((3, 2)).at(0, Window(0, 0, 200, 300))):
        correlation = (whole * other).mean()
        assert abs(float(correlation)) < 0.01


def test_draws_follow_each_other_and_go_on_where_a_tile_is_padded() -> None:
    field, window = NoiseField((0,)), Window(8, 16, 30, 20)
    draw = normals_at([field], [window], torch.device("cpu"))
    first, second = draw((1, 3, 32, 24)), draw((1, 3, 32, 24))
    assert torch.equal(first[0], field.at(0, Window(8, 16, 32, 24)))
    assert torch.equal(second[0], field.at(1, Window(8, 16, 32, 24)))
