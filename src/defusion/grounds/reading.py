"""A photograph of the printed chart, read back: found by its fiducials, rectified, its colours placed."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from defusion.grounds.chart import Chart
from defusion.grounds.printed import MARKERS, Sheet
from defusion.imageio import Picture
from defusion.types import Image

MARKS, _ENOUGH = 4, 3
"""Fiducials on a sheet, and with how many it is placed for sure."""
_LEAST_LIKENESS = 0.6
"""Correlation with the printed sheet that places it by fewer."""
_FINE = 8
"""Pixels of the drawn sheet a pixel of the chart, of which a clean reading is reckoned."""
_SMOOTH = (21, 9, 5)
"""Sides of the kernels that smooth what is correlated, one after the other, in pixels."""
_ITERATIONS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
_BANDS, _MOST_GAIN = 16, 4.0
_FURTHEST_KNOWN, _FURTHEST_FOUND = 1.5, 20.0
"""Pixels of the chart that refining may move a corner from where a clean photograph, and where the fiducials, place it:
blur moves these."""
_MOST_FINER = 4
"""Pixels a pixel of the chart of what is correlated, at the most."""
_MOST_ENLARGED = 1.5
"""How much larger than in the photograph the chart is made at the most, along a side."""
_MOST_DRAWN = 2048
"""Pixels of a chart that is drawn to be correlated."""
_MOST_PIXELS = 2e7
"""Of an enlarged photograph."""

_Matrix = NDArray[np.float64]


class ChartError(ValueError):
    """A photograph in which the chart is not found, or far too small."""


@dataclass(frozen=True)
class Reading:
    """The chart as a photograph shows it.

    Attributes:
        ground: the printed chart, (1, 3, S, S) in [0, 1].
        picture: as the photograph shows it, the same shape, without what its pixels alone have blurred.
        scale: pixels of the photograph a pixel of the chart: 1 is best, beyond 2 its fine grain is averaged away.
        place: chart coordinates in pixels -> those of the photograph, a homography (3, 3).
        marks: of its four corner marks, how many are seen.
        likeness: correlation of the photograph with the printed sheet there, in [-1, 1].
    """

    ground: Image
    picture: Image
    scale: float
    place: _Matrix
    marks: int
    likeness: float

    @property
    def sure(self) -> bool:
        """Whether the photograph itself shows where the sheet is, not the clean one alone."""
        return _is_sure(self.marks, self.likeness)


def read_chart(
    photo: Picture,
    chart: Chart,
    clean: Picture | None = None,
    names: tuple[str, str] = ("the photograph", "the clean photograph"),
) -> Reading:
    """Finds the printed sheet, aligns it to a fraction of a pixel and gives the chart on it.

    Fiducials (ArUco) give the place, and the enhanced correlation coefficient (Evangelidis and Psarakis, 2008), which
    neither brightness nor contrast changes, refines it. Colours stay as they are photographed, since their change may
    be what is to be shown; with a clean photograph those of print and camera are corrected by the affine map that
    takes its chart to the printed one. What paper, perspective and the photograph's pixels take of fine detail is
    reckoned by photographing the sheet in theory, and given back.

    Args:
        photo: uint8 (H, W, 3), with the sheet in it.
        chart: that was printed.
        clean: another photograph of the sheet with nothing wrong; if the sheet is not found in `photo`, it is taken
            to be where it is in this one, see `Reading.sure`.
        names: what errors call the two, their files.

    Raises:
        ChartError: where the sheet is not found, or has less than two thirds of a pixel a pixel of the chart.
    """
    sheet = Sheet(chart)
    known = None if clean is None else _placed(clean, sheet, names[1], None)[0]
    there = known if clean is not None and clean.shape == photo.shape else None
    place, marks, likeness = _placed(photo, sheet, names[0], there)
    scale = _scale(place, chart.size)
    if scale < 1 / _MOST_ENLARGED:
        raise ChartError(
            f"{names[0]}: expected the chart at least {round(chart.size / _MOST_ENLARGED)} pixels wide, got about "
            f"{chart.size * scale:.0f}: go nearer, so that it is {chart.size}"
        )
    picture = _rectified(photo, place, chart.size)
    if clean is not None and known is not None:
        picture = _colours_placed(picture, _rectified(clean, known, chart.size), _seen(sheet, known))
    ground = chart.canonical()
    picture = _detailed(picture, _seen(sheet, place), ground[0].permute(1, 2, 0).numpy())
    return Reading(ground, _as_image(picture), scale, place, marks, likeness)


def _placed(photo: Picture, sheet: Sheet, name: str, known: _Matrix | None) -> tuple[_Matrix, int, float]:
    """Chart coordinates in pixels -> photograph, from the fiducials or where it is known to be, refined; with how many
    fiducials are seen and how well it correlates with the printed sheet there."""
    starts = [] if known is None else [(known, _FURTHEST_KNOWN)]
    found = _fiducials(photo)
    if found:
        numbers = sorted(found)
        printed = sheet.corners()[numbers].reshape(-1, 2) * sheet.chart.size
        place, _ = cv2.findHomography(printed, np.concatenate([found[number] for number in numbers]), cv2.RANSAC, 3.0)
        if place is not None:
            starts.append((np.asarray(place, np.float64), _FURTHEST_FOUND))
    grey = _grey(photo)
    refined = [_refined(grey, sheet, start, furthest) for start, furthest in starts]
    best = max(refined, key=lambda own: own[1], default=None)
    if best is None or (known is None and not _is_sure(len(found), best[1])):
        raise ChartError(
            f"{name}: expected the printed chart with its four corner marks in sight, found {len(found)} of them: show "
            "the whole page, larger; or give a clean photograph of the same size from the same place"
        )
    return best[0], len(found), best[1]


def _is_sure(marks: int, likeness: float) -> bool:
    return marks >= _ENOUGH or likeness >= _LEAST_LIKENESS


def _fiducials(photo: Picture) -> dict[int, NDArray[np.float32]]:
    """Number -> corners (4, 2) of those that are seen in any variant of a photograph, in the first one that has it."""
    found: dict[int, NDArray[np.float32]] = {}
    for variant in _variants(photo):
        found = _found(variant) | found
        if len(found) == MARKS:
            break
    return found


def _variants(photo: Picture) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """The photograph in grey, as it is, larger, clearer and smoother, and by how much it is enlarged."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(grey, (1, 99.5))
    clear = np.clip((grey - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    local = cv2.createCLAHE(4.0, (8, 8)).apply(grey)
    for factor in (own for own in (1.0, 2.0, 3.0) if own == 1 or grey.size * own**2 < _MOST_PIXELS):
        for own in (grey, clear, local):
            sized = own if factor == 1 else cv2.resize(own, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            for smooth in (0, 3, 7):
                smoothed = cv2.GaussianBlur(sized, (smooth, smooth), 0) if smooth else sized
                yield np.asarray(smoothed, np.uint8), factor


def _found(variant: tuple[NDArray[np.uint8], float]) -> dict[int, NDArray[np.float32]]:
    """Number -> corners (4, 2) of our fiducials in the photograph."""
    grey, factor = variant
    options = cv2.aruco.DetectorParameters()
    options.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    options.adaptiveThreshWinSizeMax = 53
    options.minMarkerPerimeterRate = 0.01
    corners, numbers, _ = cv2.aruco.ArucoDetector(MARKERS, options).detectMarkers(grey)
    if numbers is None:
        return {}
    shift = (factor - 1) / 2  # from the middles of enlarged pixels to those of the photograph's
    return {
        int(number): (own.reshape(4, 2) - shift) / factor
        for number, own in zip(numbers.ravel(), corners, strict=True)
        if number < MARKS
    }


def _refined(grey: NDArray[np.float32], sheet: Sheet, start: _Matrix, furthest: float) -> tuple[_Matrix, float]:
    """The place near by that correlates best with the printed sheet, and how well, in [-1, 1].

    Args:
        grey: the photograph.
        sheet: what is printed.
        start: where it is about.
        furthest: pixels of the chart that a corner may move from there.
    """
    size = sheet.chart.size
    finer = min(max(1, round(_scale(start, size))), _MOST_FINER)
    margin = round(sheet.origin * size * finer)
    length = size * finer + 2 * margin
    detail = max(finer, min(_FINE * finer, _MOST_DRAWN // size))
    drawn = cv2.resize(sheet.draw(size * detail), (length, length), interpolation=cv2.INTER_AREA)
    template = _grey(np.asarray(drawn, np.uint8))
    within = _pixels(finer, margin)  # of the template -> chart
    best = (start, _likeness(template, grey, start @ within))
    for smooth in _SMOOTH:
        onto = best[0] @ within
        try:
            likeness, moved = cv2.findTransformECC(
                template,
                grey,
                (onto / onto[2, 2]).astype(np.float32),
                cv2.MOTION_HOMOGRAPHY,
                _ITERATIONS,
                np.full(grey.shape, 255, np.uint8),
                smooth,
            )
        except cv2.error:  # it does not converge
            continue
        found = np.asarray(moved, np.float64) @ np.linalg.inv(within)
        if not np.isfinite(found).all() or _strayed(start, found, size) > furthest:
            continue
        likeness = _likeness(template, grey, found @ within)
        if likeness > best[1]:
            best = (found, likeness)
    return best


def _likeness(template: NDArray[np.float32], grey: NDArray[np.float32], onto: _Matrix) -> float:
    """Correlation of the template with what a photograph shows where it is mapped to."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(grey, onto, template.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    with np.errstate(invalid="ignore"):  # of a photograph that is even there
        return float(np.nan_to_num(np.corrcoef(template.ravel(), seen.ravel())[0, 1]))


def _strayed(before: _Matrix, after: _Matrix, size: int) -> float:
    """How far apart two places have a corner of the chart, at the most, in its pixels."""
    corners = np.array([[(0, 0), (size, 0), (size, size), (0, size)]], np.float64)
    first, second = (cv2.perspectiveTransform(corners, own) for own in (before, after))
    return float(np.linalg.norm(second - first, axis=2).max()) / _scale(before, size)


def _pixels(finer: float, margin: float = 0.0) -> _Matrix:
    """Middles of the pixels of a picture with `finer` pixels a chart pixel and a margin -> chart coordinates."""
    start = (0.5 - margin) / finer
    return np.array([[1 / finer, 0, start], [0, 1 / finer, start], [0, 0, 1]], np.float64)


def _rectified(photo: Picture, place: _Matrix, size: int) -> NDArray[np.float32]:
    """The chart, (size, size, 3) in [0, 1]: averaged where the photograph has more pixels than it."""
    fine = max(1, round(_scale(place, size)))
    flags, onto = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP, (size * fine, size * fine)
    levels = photo.astype(np.float32) / 255
    warped = cv2.warpPerspective(levels, place @ _pixels(fine), onto, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.clip(cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA), 0, 1)


def _detailed(
    picture: NDArray[np.float32], seen: NDArray[np.float32], printed: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A picture with the gains of spatial frequency that take the chart as it would be seen to the printed one.

    Of each band the gain is that of least squares, from 1 to `_MOST_GAIN`.
    """
    size = 2 * picture.shape[0]
    frequency = np.fft.fftfreq(size)
    radius = np.hypot(frequency[:, None], frequency)
    band = np.minimum((2 * _BANDS * radius).astype(int), _BANDS - 1).ravel()
    before, after = _spectrum(seen), _spectrum(printed)
    common, power = (after * before.conj()).real.sum(2).ravel(), (np.abs(before) ** 2).sum(2).ravel()
    gains = np.clip(np.bincount(band, common, _BANDS) / np.bincount(band, power, _BANDS), 1, _MOST_GAIN)
    gains[0] = 1  # of tones
    smooth = np.interp(radius, (np.arange(_BANDS) + 0.5) / (2 * _BANDS), gains)
    detailed = np.fft.ifft2(_spectrum(picture) * smooth[..., None], axes=(0, 1)).real
    return np.clip(detailed[: size // 2, : size // 2], 0, 1).astype(np.float32)


def _spectrum(picture: NDArray[np.float32]) -> NDArray[np.complex128]:
    """Of a picture continued by reflection, so that it has no borders."""
    tall = np.concatenate([picture, picture[::-1]])
    return np.fft.fft2(np.concatenate([tall, tall[:, ::-1]], axis=1), axes=(0, 1))


def _seen(sheet: Sheet, place: _Matrix) -> NDArray[np.float32]:
    """The chart as it would be read if the sheet were photographed at this place with nothing wrong."""
    size = sheet.chart.size
    drawn = sheet.draw(size * _FINE).astype(np.float32) / 255
    margin = round(sheet.origin * size * _FINE)
    onto = place @ _pixels(_FINE, margin)
    # Painted at four times the photograph's resolution and averaged: a pixel sees an area, not a point.
    finer = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]], np.float64)
    x, y, width, height = _bounds(place, size)
    within = np.array([[1, 0, -4 * x], [0, 1, -4 * y], [0, 0, 1]], np.float64)
    painted = cv2.warpPerspective(drawn, within @ finer @ onto, (4 * width, 4 * height), flags=cv2.INTER_LINEAR)
    photo = cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA)
    moved = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], np.float64) @ place
    return _rectified((np.clip(photo, 0, 1) * 255).round().astype(np.uint8), moved, size)


def _bounds(place: _Matrix, size: int) -> tuple[int, int, int, int]:
    """x, y, width and height of the part of a photograph in which the chart lies, with some room around it."""
    corners = cv2.perspectiveTransform(np.array([[(0, 0), (size, 0), (size, size), (0, size)]], np.float64), place)[0]
    low = np.floor(corners.min(0)).astype(int) - 16
    high = np.ceil(corners.max(0)).astype(int) + 16
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _colours_placed(
    picture: NDArray[np.float32], clean: NDArray[np.float32], printed: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A picture under the affine map of colours that takes the clean chart to the printed one, least squares."""
    known = np.concatenate([clean.reshape(-1, 3), np.ones((clean.shape[0] * clean.shape[1], 1), np.float32)], axis=1)
    matrix, *_ = np.linalg.lstsq(known, printed.reshape(-1, 3), rcond=None)
    return np.clip(picture @ matrix[:3] + matrix[3], 0, 1).astype(np.float32)


def _scale(place: _Matrix, size: int) -> float:
    """Pixels of the photograph a pixel of the chart, along a side, in its middle."""
    middle = size / 2
    points = np.array(
        [[(middle - 0.5, middle), (middle + 0.5, middle), (middle, middle - 0.5), (middle, middle + 0.5)]]
    )
    left, right, top, bottom = cv2.perspectiveTransform(points, place)[0]
    (a, b), (c, d) = right - left, bottom - top
    return float(abs(a * d - b * c) ** 0.5)


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _as_image(picture: NDArray[np.float32]) -> Image:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float()
