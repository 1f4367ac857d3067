from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image as PillowImage
from torch.nn.functional import interpolate

from defusion.grounds.canvas import Construct
from defusion.grounds.chart import Chart, sheet
from defusion.grounds.constructs import GROUPS
from defusion.random import Generators, generator
from defusion.types import Image


def generators(n: int, seed: int = 3) -> list[torch.Generator]:
    return [generator(seed, i) for i in range(n)]


@pytest.mark.parametrize("size", [16, 64, 130])
@pytest.mark.parametrize("kind", ["te42", "blank", "striped"])
def test_draw_and_canonical_shape_and_range(size: int, kind: Literal["te42", "blank", "striped"]) -> None:
    chart = Chart(size, kind)
    for pictures, n in ((chart.draw(5, generators(5)), 5), (chart.canonical(), 1)):
        assert pictures.shape == (n, 3, size, size)
        assert pictures.dtype == torch.float32
        assert pictures.min() >= 0
        assert pictures.max() <= 1


@pytest.mark.parametrize("size", [0, 14, 33, -2])
def test_size_is_checked(size: int) -> None:
    with pytest.raises(ValueError, match="size: expected an even number"):
        Chart(size)


def test_kind_is_checked() -> None:
    with pytest.raises(ValueError, match="kind: expected"):
        Chart(64, "te41")  # type: ignore[arg-type]


def test_same_generators_same_charts() -> None:
    first, second = (Chart(64).draw(6, generators(6)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(Chart(64).draw(6, generator(1)), Chart(64).draw(6, generator(1)))
    assert not torch.equal(first, Chart(64).draw(6, generators(6, seed=4)))


def test_a_chart_does_not_depend_on_its_batch() -> None:
    batch = Chart(64).draw(8, generators(8))
    for i in (0, 5):
        alone = Chart(64).draw(1, [generator(3, i)])
        torch.testing.assert_close(alone[0], batch[i], rtol=0, atol=2e-5)


def test_one_construct_of_each_group_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(level: float) -> Construct:
        def construct(n: int, size: int, generators: Generators, device: torch.device | str) -> Image:
            return torch.full((n, 3, size, size), level, device=device)

        return construct

    marked = {
        name: tuple(flat(group / 4 + member / 32) for member in range(len(constructs)))
        for group, (name, constructs) in enumerate(GROUPS.items())
    }
    for name, constructs in marked.items():
        monkeypatch.setitem(GROUPS, name, constructs)
    charts = Chart(32).draw(64, generators(64))
    cells = charts[:, 0, 8::16, 8::16].flatten(1)
    groups = (cells * 4).floor().long()
    assert torch.equal(groups.sort(1).values, torch.arange(4).expand(64, 4))
    assert len(groups.unique(dim=0)) > 10
    assert len(cells.unique()) == sum(len(constructs) for constructs in GROUPS.values())
    assert torch.equal(charts, interpolate(charts[:, :, 8::16, 8::16], scale_factor=16))


def test_canonical_is_fixed_and_alike_at_every_size() -> None:
    assert torch.equal(Chart(128).canonical(), Chart(128).canonical())
    fine = Chart(256).canonical()
    for size in (64, 128, 512):
        other = interpolate(Chart(size).canonical(), size=64, mode="area")
        difference = (other - interpolate(fine, size=64, mode="area")).abs().mean()
        assert difference < 0.05, size


def test_blank_and_striped() -> None:
    assert (Chart(32, "blank").canonical() == 0.5).all()
    stripes = Chart(64, "striped").draw(2, generators(2))
    assert torch.equal(stripes[0], stripes[1])
    assert (stripes == stripes[:, :1, :1]).all()
    assert stripes.min() < 0.01
    assert stripes.max() > 0.99
    line = stripes[0, 0, 0] > 0.5
    assert (line[1:] != line[:-1]).sum() == 15


def test_from_picture_takes_the_centre_square_upright(tmp_path: Path) -> None:
    picture = PillowImage.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 255, 0), (100, 0, 200, 50))
    picture.paste((0, 0, 255), (100, 50, 200, 100))
    exif = PillowImage.Exif()
    exif[0x0112] = 3
    picture.save(tmp_path / "chart.png", exif=exif)
    ground = Chart.from_picture(tmp_path / "chart.png", 50)
    assert ground.shape == (1, 3, 50, 50)
    torch.testing.assert_close(ground[0, :, 10, 25], torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(ground[0, :, 40, 25], torch.tensor([0.0, 1.0, 0.0]))
    assert ground[0, 0].max() == 0


def test_from_picture_averages_over_the_area(tmp_path: Path) -> None:
    pixels = torch.zeros(64, 64, dtype=torch.uint8)
    pixels[::2] = 200
    PillowImage.fromarray(pixels.numpy()).save(tmp_path / "chart.png")
    torch.testing.assert_close(Chart.from_picture(tmp_path / "chart.png", 32), torch.full((1, 3, 32, 32), 100 / 255))


def test_from_picture_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a picture of a chart"):
        Chart.from_picture(tmp_path / "none.png", 64)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.png: empty, or not a picture"):
        Chart.from_picture(tmp_path / "text.png", 64)
    PillowImage.new("RGB", (40, 90)).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="at least 64x64 pixels, got 40x90"):
        Chart.from_picture(tmp_path / "small.png", 64)
    PillowImage.new("I;16", (90, 90)).save(tmp_path / "deep.png")
    assert Chart.from_picture(tmp_path / "deep.png", 64).shape == (1, 3, 64, 64)
    with pytest.raises(ValueError, match="size: expected an even"):
        Chart.from_picture(tmp_path / "small.png", 15)


def test_sheet_shows_the_whole_pool() -> None:
    page = sheet(32)
    assert page.mode == "RGB"
    assert page.width >= 5 * 32
    assert page.height >= (len(GROUPS) + 1) * 32
    assert page.tobytes() == sheet(32).tobytes()
    assert page.tobytes() != sheet(32, seed=1).tobytes()
