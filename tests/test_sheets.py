import numpy as np
import pytest
import torch

from defusion.sheets import Cell, contact_sheet


def cell(height: int, width: int) -> Cell:
    return Cell(torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)), f"{height}x{width}")


def test_a_sheet_fits_eleven_rows_of_any_shape() -> None:
    shapes = [(256, 256), (300, 500), (64, 96), (31, 500)]
    sheet = contact_sheet([[cell(*shapes[row % 4])] * 3 for row in range(11)])
    assert 3 * 256 < sheet.width < 3 * 256 + 64
    assert 11 * 256 < sheet.height < 11 * (256 + 40) + 64


def test_a_sheet_shows_pixels_as_they_are() -> None:
    shown = cell(34, 36)
    drawn = np.asarray(contact_sheet([[shown]], size=32))
    centre = (shown.picture[:, 1:33, 2:34] * 255).round().byte().permute(1, 2, 0).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(drawn, centre.shape)
    assert (windows == centre).all((3, 4, 5)).sum() == 1


def test_no_label_runs_into_the_next() -> None:
    """A long one is written smaller, and cut in the end."""
    ink = {}
    for label in ("rain", "rain:0.7+noise:25; strength rain 1, noise 0.3", "rain+" * 40):
        sheet = np.asarray(contact_sheet([[Cell(torch.ones(3, 256, 256), label)]]).convert("L"))
        ink[label] = np.flatnonzero((sheet[8:28] < 200).any(0))
        assert 8 <= ink[label].min() < 16
        assert ink[label].max() <= 8 + 256
    short, long, cut = ink.values()
    assert short.max() < 60
    assert min(long.max(), cut.max()) > 220


@pytest.mark.parametrize("rows", [[], [[]]])
def test_an_empty_sheet_is_an_error(rows: list[list[Cell]]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(rows)
