"""The page: one valid file without outside resources, which shows the chosen pictures and nothing unescaped."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from defusion.evaluation.outcome import Outcome
from defusion.evaluation.page import write_page
from defusion.evaluation.page_chart import MAX_BARS, gain_chart
from defusion.evaluation.page_pictures import CROP, LADDER, choose, embed, groups, largest_error
from defusion.evaluation.paper import ROWS
from tests.evaluation.outcomes import MATCHED, NOT_COMPARABLE, STANDIN, SUBSET, WHOLE, made, pictures

VOID = {"meta", "img", "input", "br"}
DATA = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")


class Page(HTMLParser):
    """Checks that tags are balanced, and gathers what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags for own, value in attrs.items() if own == name and value is not None]


def written(path: Path, *outcomes: Outcome) -> str:
    write_page(path / "page.html", outcomes, pictures)
    assert [file.name for file in path.iterdir()] == ["page.html"]
    return (path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 1, 2]),
        (4, [0, 1, 2, 3]),
        (9, [0, 1, 2, 3, 4, 5, 8, 7, 6]),
        (100, [0, 1, 2, 48, 49, 50, 99, 98, 97]),
    ],
)
def test_the_worst_median_and_best_are_chosen(count: int, expected: list[int]) -> None:
    order = np.random.default_rng(count).permutation(count)
    chosen = choose(made((order / 2).tolist()))
    assert [int(order[number]) for number in chosen] == expected


@pytest.mark.parametrize("count", range(1, 25))
def test_each_picture_is_chosen_once(count: int) -> None:
    for gains in (range(count), [1.0] * count):
        chosen = choose(made([float(gain) for gain in gains]))
        assert len(chosen) == len(set(chosen)) == min(count, 9)
        assert chosen == choose(made([float(gain) for gain in gains]))


def test_equal_gains_go_by_position() -> None:
    assert groups(made([1.0] * 100)) == {"worst": [0, 1, 2], "median": [48, 49, 50], "best": [99, 98, 97]}
    assert groups(made([1.0] * 100), each=1) == {"worst": [0], "median": [49], "best": [99]}
    assert groups(made([1.0])) == {"median": [0]}


def test_the_page_is_one_valid_file_without_outside_resources(tmp_path: Path) -> None:
    text = written(tmp_path, WHOLE, made([1.0]), *NOT_COMPARABLE)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "base"} == set()
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href"))
    assert {value[1:] for value in page.values("href")} == set(page.values("id"))
    assert not re.search(r"https?:|//|@import|url\(", DATA.sub("", text))
    assert len(page.values("id")) == len(set(page.values("id")))


def test_each_chosen_picture_is_on_the_page_once(tmp_path: Path) -> None:
    outcome = made(np.random.default_rng(1).normal(2, 3, 40).tolist())
    asked: list[int] = []

    def asking(own: Outcome, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        asked.append(number)
        return pictures(own, number)

    write_page(tmp_path / "page.html", [outcome], asking)
    page = Page((tmp_path / "page.html").read_text())
    assert page.values("data-picture") == [str(number) for number in choose(outcome)]
    assert asked == choose(outcome)
    assert len(page.values("src")) == len(set(page.values("src"))) == 6 * 9
    assert page.text.count("Worst") == page.text.count("Best") == page.text.count("Median") == 1
    for number in choose(outcome):
        image = outcome.per_image[number]
        assert f"{image.name} PSNR 20.00 → {image.restored['psnr']:.2f} dB" in page.text
    assert [tag for tag, attrs in page.tags if attrs.get("type") == "range"] == ["input"] * 9


def test_names_are_escaped(tmp_path: Path) -> None:
    bad = "<script>alert('1')</script>\"&.png"
    outcome = made([1.0, 2.0], [bad, "b"], **dict.fromkeys(("task", "dataset", "protocol", "weights", "layout"), bad))
    text = written(tmp_path, outcome)
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "alert('1')" not in text
    assert bad in page.words
    assert any(value.startswith(bad) for value in page.values("aria-label"))


def test_labels_are_prominent_and_the_papers_rows_far(tmp_path: Path) -> None:
    for outcome in NOT_COMPARABLE:
        page = Page(written(tmp_path, outcome))
        assert not any(re.search(rf"\b{re.escape(row.method)}", page.text) for row in ROWS)
        assert "paper" not in page.text
        assert ("warning" in page.values("class")) == ("label" in page.values("class")) == bool(outcome.labels)
    text = written(tmp_path, WHOLE, STANDIN, SUBSET)
    beside = [row for row in re.findall(r"<tr>.*?</tr>", text) if "MPerceiver" in row]
    assert len(beside) == 1
    assert ">gopro<" in beside[0]
    page = Page(text)
    assert "Stand-in: other pictures than the test set's were restored. Not comparable" in page.text
    assert "Subset: 3 of 76 pictures of the test set were restored. Not comparable" in page.text
    assert "Parameter-matched: the instruction" in Page(written(tmp_path, MATCHED)).text
    assert page.text.count("differs from that of the rows it copied") == 1


def test_the_crop_lies_at_the_largest_error() -> None:
    own = torch.Generator().manual_seed(0)
    hq = torch.rand(3, 90, 120, generator=own)
    restored = hq + 0.1 * torch.randn(3, 90, 120, generator=own)
    found = largest_error(restored, hq, side=16)
    error = (restored.clamp(0, 1) - hq).square().mean(0, keepdim=True)
    best = int(avg_pool2d(error[None], 16, stride=1).argmax())
    assert (found.top, found.left) == divmod(best, 120 - 15)
    assert (found.width, found.height) == (16, 16)
    small = largest_error(restored[:, :10], hq[:, :10], side=16)
    assert (small.top, small.width, small.height) == (0, 16, 10)


def test_crops_are_the_pixels_themselves_and_pictures_are_made_smaller() -> None:
    _, restored, hq = pictures(WHOLE, 0, 700, 1000)
    embedded = embed(hq, restored, hq, 10**9)
    box = embedded.box
    _, _, crop = (np.asarray(Image.open(BytesIO(b64decode(uri.partition(",")[2])))) for uri in embedded.crops)
    part = hq[:, box.top : box.top + CROP, box.left : box.left + CROP]
    assert np.array_equal(crop, part.mul(255).round().byte().permute(1, 2, 0).numpy())
    for uri in embedded.whole:
        assert Image.open(BytesIO(b64decode(uri.partition(",")[2]))).size == (640, 448)
    assert (embedded.width, embedded.height) == (1000, 700)


def test_a_small_budget_takes_a_lower_rung() -> None:
    lq, restored, hq = pictures(WHOLE, 0, 300, 500)
    rich = embed(lq, restored, hq, 10**9)
    assert embed(lq, restored, hq, rich.num_chars - 1).num_chars < rich.num_chars
    least = embed(lq, restored, hq, 0)
    assert least.num_chars < rich.num_chars / 3
    assert Image.open(BytesIO(b64decode(least.whole[0].partition(",")[2]))).width == LADDER[-1].side


def test_many_test_sets_fit_into_one_page(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [made([1.0] * 9)] * 13, lambda own, number: pictures(own, number, 200, 300))
    assert len(Page((tmp_path / "page.html").read_text()).values("data-picture")) == 13 * 3
    assert (tmp_path / "page.html").stat().st_size < 10e6


def test_pictures_of_other_shapes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    def uneven(outcome: Outcome, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        lq, restored, hq = pictures(outcome, number)
        return lq[:, ::2], restored, hq

    with pytest.raises(ValueError, match=r"one shape .* got \(3, 20, 60\)"):
        write_page(tmp_path / "page.html", [WHOLE], uneven)
    with pytest.raises(ValueError, match="at least one"):
        write_page(tmp_path / "page.html", [], uneven)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gains", [[-1.0, 2.0], [0.0, 0.0], [0.31] * 9, [-40.0, -3.0], [1e-9, 99.0]])
def test_the_chart_keeps_its_bars_inside(gains: list[float]) -> None:
    outcome = made(gains)
    page = Page(gain_chart(outcome, choose(outcome)))
    bars = [attrs for tag, attrs in page.tags if tag == "rect"]
    assert len(bars) == len(gains)
    for name, length in (("x", "width"), ("y", "height")):
        for bar in bars:
            assert -0.001 <= float(bar[name] or "") <= float(bar[name] or "") + float(bar[length] or "") < 100.41
    ticks = [float(word) for word in page.words if re.fullmatch(r"[+-]?[\d.]+", word)]
    assert 2 <= len(ticks) <= 7
    assert min(ticks) <= min(gains) <= max(gains) <= max(ticks)
    assert 0 in ticks


def test_a_chart_of_many_pictures_draws_some_and_the_shown() -> None:
    outcome = made(np.random.default_rng(2).normal(size=5000).tolist())
    page = Page(gain_chart(outcome, choose(outcome)))
    shown = [attrs for tag, attrs in page.tags if tag == "rect" and "shown" in (attrs["class"] or "")]
    bars = [tag for tag, _ in page.tags if tag == "rect"]
    assert len(shown) == 9
    assert MAX_BARS <= len(bars) <= MAX_BARS + 9
    assert f"Of 5000 pictures, {len(bars)} are drawn." in page.text
