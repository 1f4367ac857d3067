"""What reading the chart from paper costs: restorations by it against those by the chart as it is drawn."""

from pathlib import Path
from statistics import fmean

import numpy as np
import pypdfium2
import pytest
import torch
from torch import Tensor

from data_modules.clean import EmbeddedPairs
from defusion.degradations.library import NAMES
from defusion.degradations.standard import drawn
from defusion.evaluation.metrics import psnr
from defusion.evaluation.obedience import middle
from defusion.evaluation.testset import as_tensor
from defusion.grounds.chart import Chart
from defusion.grounds.printed import Sheet, print_chart
from defusion.grounds.reading import ChartError, read_chart
from defusion.imageio import Picture, to_tensor, to_uint8
from defusion.instruction import VisualInstruction
from defusion.restore.restorer import Restorer
from tests.grounds.test_printed import photographed

CHART = Chart(64)
DPI = 200
VIEWS = ((1.0, 3.0, 0.0003), (1.15, -6.0, 0.0005), (1.3, 9.0, -0.0004))
"""Size of the chart in the photograph, turn in degrees, tilt."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    """The printed page, rendered."""
    file = tmp_path_factory.mktemp("print") / "chart.pdf"
    print_chart(file, CHART)
    return rendered(file)


def rendered(file: Path) -> Picture:
    (own,) = pypdfium2.PdfDocument(file)
    return np.asarray(own.render(scale=DPI / 72).to_pil().convert("RGB"))


def photographs() -> list[Tensor]:
    pairs = EmbeddedPairs()
    return [middle(as_tensor(pairs[number][1]), 192) for number in range(len(pairs))]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_clean", [True, False])
def test_a_chart_read_from_paper_restores_like_the_drawn_one(page: Picture, with_clean: bool) -> None:
    """For each degradation: photographs of the page under the parameters of the pictures, three views, two pictures.

    With a clean photograph from the same place, and without.
    """
    restorer = Restorer.from_pretrained("small")
    side = 640 * DPI / 300  # of the chart on the page, which is 640 px wide at 300 dpi
    room = 8 / 25.4 * DPI + Sheet(CHART).origin * side
    losses: dict[str, list[float]] = {task: [] for task in NAMES}
    unread: list[tuple[str, int]] = []
    for task in NAMES:
        for number, hq in enumerate(photographs()):
            own = drawn(task, 0, number)
            lq = own.apply(hq[None])[0]
            true = restorer(lq, VisualInstruction.parameter_matched(own, CHART, 0, number)).image
            for view, (scale, angle, tilt) in enumerate(VIEWS):
                clean = photographed(page, room, side, scale, angle, tilt)
                fields = torch.Generator().manual_seed(100 * number + view)
                photo = to_uint8(own.apply(to_tensor(clean)[None], fields)[0])
                try:
                    shown = read_chart(photo, CHART, clean if with_clean else None)
                except ChartError:
                    unread.append((task, view))
                    continue
                read = restorer(lq, VisualInstruction(shown.ground, shown.picture, "shown")).image
                losses[task].append(float(psnr(true[None], hq[None]) - psnr(read[None], hq[None])))
    means = {task: fmean(own) for task, own in losses.items()}
    print("\n".join(f"{task}: {loss:+.2f} dB lost" for task, loss in means.items()))
    print(f"not found: {unread or 'none'}")
    assert max(means.values()) <= 0.5, means
    assert len(unread) <= (0 if with_clean else 2), unread
