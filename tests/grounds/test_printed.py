"""The chart on paper and back: found in perspective, aligned, its colours placed, and clear where it is not there."""

import math
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
import torch
from numpy.typing import NDArray

from defusion.degradations.standard import degrade
from defusion.grounds.chart import Chart
from defusion.grounds.printed import Sheet, print_chart
from defusion.grounds.reading import ChartError, read_chart
from defusion.imageio import Picture, to_tensor, to_uint8

CHART = Chart(64)
PAGE = Sheet(CHART).draw(512)
ROOM = round(Sheet(CHART).origin * 512)
SHAPE = (360, 480)


def photograph(scale: float = 1.1, angle: float = 5.0, tilt: float = 0.0004, shape: tuple[int, int] = SHAPE) -> Picture:
    """The sheet in front of a wall, its chart about `64 * scale` px wide, turned and tilted."""
    shape = (max(shape[0], round(270 * scale)), max(shape[1], round(300 * scale)))
    return photographed(PAGE, ROOM, 512, scale, angle, tilt, shape)


def photographed(
    page: Picture, room: float, side: float, scale: float, angle: float, tilt: float, shape: tuple[int, int] = SHAPE
) -> Picture:
    """A page whose chart of `side` px lies `room` px from its top and left, averaged over the pixels of a camera."""
    turn, factor = math.radians(angle), 64 * scale / side
    cos, sin = math.cos(turn) * factor, math.sin(turn) * factor
    middle = room + side / 2
    move = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]], np.float64)
    view = np.array([[cos, -sin, 0], [sin, cos, 0], [tilt * factor, tilt / 2 * factor, 1]])
    place = np.array([[1, 0, shape[1] / 2 + 3.3], [0, 1, shape[0] / 2 - 5.7], [0, 0, 1]])
    finer = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]], np.float64)
    y, x = np.mgrid[0 : 4 * shape[0], 0 : 4 * shape[1]]
    wall = np.stack([120 + 30 * np.sin(x / 160), 110 + 30 * np.cos(y / 120), 90 + 0 * x], 2).astype(np.uint8)
    onto, size = finer @ place @ view @ move, (4 * shape[1], 4 * shape[0])
    own = cv2.warpPerspective(page, onto, size, flags=cv2.INTER_LINEAR)
    there = cv2.warpPerspective(np.full(page.shape[:2], 255, np.uint8), onto, size, flags=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(np.where(there[..., None] > 0, own, wall), shape[::-1], interpolation=cv2.INTER_AREA))


def degraded(photo: Picture, spec: str) -> Picture:
    return to_uint8(degrade(to_tensor(photo)[None], spec, 3)[0])


def rms(x: torch.Tensor, y: torch.Tensor) -> float:
    return float((x - y).square().mean().sqrt())


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.6, 3.0])
@pytest.mark.parametrize("angle", [0.0, 12.0, -170.0])
def test_a_clean_photograph_is_the_chart_it_is_reckoned_to_be(scale: float, angle: float) -> None:
    found = read_chart(photograph(scale, angle), CHART)
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.picture.shape == found.ground.shape == (1, 3, 64, 64)
    assert rms(found.picture, found.ground) < (0.06 if scale < 1 else 0.04)
    assert torch.equal(found.ground, CHART.canonical())


def test_alignment_is_to_a_fraction_of_a_pixel() -> None:
    """The mean distance between where chart points are and where they are found."""
    photo = photograph(1.1, 5.0, 0.0004)
    clean = read_chart(photo, CHART).place
    points = np.random.default_rng(0).uniform(0, 64, (1, 50, 2))
    for spec in ("noise", "haze", "rain", "low_light", "jpeg", "defocus_blur", "motion_blur"):
        place = read_chart(degraded(photo, spec), CHART, photo).place
        there, found = (cv2.perspectiveTransform(points, own) for own in (clean, place))
        assert np.linalg.norm(there - found, axis=2).mean() < 0.4, spec


def test_colours_of_print_and_camera_are_placed_by_a_clean_photograph() -> None:
    cast = np.array([[0.8, 0.1, 0.0], [0.05, 0.7, 0.0], [0.0, 0.1, 0.6]])

    def seen(photo: Picture) -> Picture:
        return np.clip(photo @ cast.T + 12, 0, 255).astype(np.uint8)

    clean = photograph()
    hazy = degraded(clean, "haze")
    expected = read_chart(hazy, CHART, clean).picture
    assert rms(read_chart(seen(hazy), CHART).picture, expected) > 0.05
    assert rms(read_chart(seen(hazy), CHART, seen(clean)).picture, expected) < 0.02


def test_without_marks_in_sight_the_clean_photograph_tells_the_place() -> None:
    clean = photograph()
    hidden = np.asarray(cv2.GaussianBlur(clean, (0, 0), 9), np.uint8)
    with pytest.raises(ChartError, match="give a clean photograph of the same size"):
        read_chart(hidden, CHART)
    found = read_chart(hidden, CHART, clean)
    points = np.array([[(0, 0), (64, 0), (64, 64), (0, 64)]], np.float64)
    there, guessed = (cv2.perspectiveTransform(points, own) for own in (read_chart(clean, CHART).place, found.place))
    assert np.linalg.norm(there - guessed, axis=2).max() < 2.5
    assert found.marks < 3


def test_it_is_said_whether_the_photograph_itself_shows_the_place() -> None:
    clean = photograph()
    assert read_chart(clean, CHART).sure
    assert read_chart(degraded(clean, "noise"), CHART, clean).sure
    nothing = np.full_like(clean, 130)
    found = read_chart(nothing, CHART, clean)
    assert (found.marks, found.sure) == (0, False)
    assert found.likeness < 0.1


def test_a_chart_too_small_is_refused() -> None:
    with pytest.raises(ChartError, match=r"at least 43 pixels wide, got about 3\d: go nearer"):
        read_chart(photograph(0.55), CHART)


def test_a_photograph_without_a_chart_is_refused() -> None:
    with pytest.raises(ChartError, match="corner marks in sight, found 0 of them"):
        read_chart(np.full((100, 120, 3), 130, np.uint8), CHART)


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_the_printed_page_is_read_back(tmp_path: Path, paper: str) -> None:
    print_chart(tmp_path / "chart.pdf", CHART, paper)
    (page,) = pypdfium2.PdfDocument(tmp_path / "chart.pdf")
    width, height = page.get_size()
    assert (round(width), round(height)) == {"a4": (595, 842), "letter": (612, 792)}[paper]
    rendered = np.asarray(page.render(scale=0.35 * 72 / 25.4).to_pil().convert("RGB"))
    found = read_chart(rendered, CHART)
    assert rms(found.picture, found.ground) < 0.05


def test_pages_that_cannot_be_printed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ending in \.pdf"):
        print_chart(tmp_path / "chart.png", CHART)
    with pytest.raises(ValueError, match="a4 or letter"):
        print_chart(tmp_path / "chart.pdf", CHART, "a0")
    assert not list(tmp_path.iterdir())


def test_corners_are_where_they_are_drawn() -> None:
    found: NDArray[np.float32] = Sheet(CHART).corners()
    for number in range(4):
        (x, y), (right, bottom) = found[number][0], found[number][2]
        middle = PAGE[int(ROOM + (y + 0.03) * 512), int(ROOM + (x + 0.03) * 512)]
        assert middle.max() < 60, "a fiducial's frame is black"
        outside = PAGE[int(ROOM + (bottom + 0.05) * 512), int(ROOM + (right + 0.05) * 512)]
        assert outside.min() > 200
