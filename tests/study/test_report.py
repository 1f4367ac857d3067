"""The report: what it says of made-up scores, its figures, and the file around it."""

import os
import re
from csv import DictReader
from pathlib import Path

import pytest
from PIL import Image as Picture

from defusion.study.claims import CLAIMS, PAPER_FULL, PEERS, PaperRow, differs
from defusion.study.report import BEGIN, END, write_report
from defusion.study.results import Results
from defusion.study.statistics import Estimate
from defusion.study.tables import claims_table, instructions_table, ours_table, peers_table, steps_table, verdict
from tests.study.made_up import scores, study

SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
IN_THE_PAPER = {
    "image-space diffusion": "image_space",
    "blank ground": "blank",
    "striped ground": "striped",
    "text instruction": "text",
    "no instruction": "no_instruction",
}


@pytest.fixture(scope="module")
def results() -> Results:
    return Results(study())


def cells(table: str) -> dict[str, list[str]]:
    """First cell -> the row."""
    lines = table.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]
    assert len({len(row) for row in rows}) == 1
    return {row[0]: row for row in rows}


def test_the_papers_rows_are_those_of_the_shared_tables() -> None:
    file = SHARED / "paper" / "tables.csv"
    if not file.is_file():
        pytest.skip(f"no tables at {file}")
    with file.open(newline="", encoding="utf-8") as text:
        rows = {row["method"]: row for row in DictReader(text) if row["table"] == "5"}
    expected = {name: PaperRow(*(float(row[key]) for key in ("psnr", "ssim", "lpips"))) for name, row in rows.items()}
    assert expected.pop("full") == PAPER_FULL
    found = {claim.variant: claim.paper for claim in CLAIMS if claim.paper}
    assert found == {IN_THE_PAPER[name]: row for name, row in expected.items()}


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("psnr", -0.3, -0.1, "supported"),
        ("psnr", 0.1, 0.3, "contradicted"),
        ("psnr", -0.1, 0.3, "no difference seen"),
        ("psnr", 0.0, 0.3, "no difference seen"),
        ("ssim", -0.3, -0.1, "supported"),
        ("lpips", -0.3, -0.1, "contradicted"),
        ("lpips", 0.1, 0.3, "supported"),
    ],
)
def test_a_verdict_is_by_whether_the_interval_excludes_zero(
    metric: str, low: float, high: float, expected: str
) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, None), metric) == expected
    assert verdict(Estimate((low + high) / 2, low, high, 0.01), metric) == expected
    wide = verdict(Estimate((low + high) / 2, low, high, 1.0), metric)
    assert wide == (expected if expected == "no difference seen" else f"{expected}, within the spread of seeds")


def test_each_claim_is_compared_with_its_own_reference(results: Results) -> None:
    rows = cells(claims_table(results))
    names = rows.pop("claim")
    assert set(rows) == {claim.statement for claim in CLAIMS}
    place = names.index("PSNR")
    for claim in CLAIMS:
        row = rows[claim.statement]
        assert row[1] == f"{claim.variant} - {claim.reference}"
        found = results.difference(claim.variant, claim.reference, "psnr", ("rain", "haze", "snow"))
        assert row[place].startswith(f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]")
        assert row[place].endswith(verdict(found, "psnr"))
    spaces = rows["Diffusing the degradation is better than diffusing the picture"]
    assert spaces[2] == "-2.11"
    assert spaces[place].endswith("supported")
    assert rows["A visual instruction is better than a task label"][place].endswith("contradicted")
    assert rows["Quantised tokens are better than continuous ones"][place].endswith("no difference seen")


def test_a_claim_without_its_reference_is_not_tested() -> None:
    own = Results([scores("full"), scores("image_space"), scores("label")])
    assert list(cells(claims_table(own)))[1:] == ["A visual instruction is better than a task label"]


def test_the_variants_stand_beside_the_papers_rows(results: Results) -> None:
    rows = cells(ours_table(results))
    head = rows.pop("variant")
    assert head[3:] == ["derain", "dehaze", "desnow", "weather", "paper's Table 5"]
    assert list(rows) == ["full", *(claim.variant for claim in CLAIMS)]
    assert rows["full"][-1] == "33.83 / 0.951 / 0.025"
    assert rows["label"][-1] == ""
    assert rows["blank"][1] == "a blank ground"
    assert rows["blank"][2] == "1.89 M"
    weather = results.estimate("blank", "psnr", ("rain", "haze", "snow"))
    assert rows["blank"][6].startswith(f"{weather.value:.2f} [{weather.low:.2f}, {weather.high:.2f}] ± ")
    assert re.fullmatch(r"\d+\.\d\d / 0\.\d{3} / 0\.\d{3}", rows["blank"][3])


def test_all_tasks_have_a_column_where_there_are_more() -> None:
    own = Results([scores(name, tasks=("rain", "haze", "noise")) for name in ("full", "label")])
    assert cells(ours_table(own))["variant"][3:7] == ["derain", "dehaze", "weather", "all"]
    assert len(claims_table(own).splitlines()) == 4


def test_steps_are_in_order_beside_one_step(results: Results) -> None:
    lines = steps_table(results).splitlines()[2:]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")[:2]) for line in lines]
    assert found == [*(("DDIM", str(own)) for own in (1, 2, 4, 10, 50)), *(("SDE", str(own)) for own in (4, 10, 50))]
    assert lines[0].endswith("|  |")
    assert "| -1.1" in lines[4]


def test_only_equal_pictures_are_compared_with_the_main_measurement(results: Results) -> None:
    rows = cells(instructions_table(results))
    assert {name for name, row in rows.items() if row[-1]} == {"measured", "parameter-matched"}
    assert rows["parameter-matched"][-1].startswith("+0.3")
    assert rows["composites-2"][2] == "rain+haze, snow+haze"
    assert len(rows) == 8


def test_peers_stand_beside_the_whole_method(results: Results) -> None:
    rows = cells(peers_table(results))
    assert list(rows) == ["network", "full", *PEERS]
    assert rows["plain"][3:5] == ["1,500", "601"]
    assert rows["plain"][-1].startswith("-2.0")
    assert rows["full"][-1] == ""


def test_nothing_measured_gives_no_table() -> None:
    own = Results([scores("full")])
    assert [steps_table(own), instructions_table(own), peers_table(own), claims_table(own)] == [""] * 4
    assert ours_table(own)


def test_unknown_variants_come_last_and_are_not_explained() -> None:
    own = Results([scores("zebra"), scores("apple"), scores("uformer"), scores("label"), scores("full")])
    assert list(own.variants) == ["full", "label", "uformer", "apple", "zebra"]
    assert differs("zebra") == ""


def test_a_run_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="full with seed 0 twice"):
        Results([scores("full"), scores("full")])


def test_lpips_that_one_run_lacks_is_left_out() -> None:
    own = Results([scores("full"), scores("label", lpips=None)])
    assert own.metrics == ("psnr_gain", "psnr", "ssim")
    assert "LPIPS" not in claims_table(own)


def test_the_section_is_replaced_and_the_rest_kept(tmp_path: Path) -> None:
    out = tmp_path / "experiments" / "RESULTS.md"
    write_report([scores("full"), scores("label", level=29)], out)
    fresh = out.read_text()
    assert fresh.startswith("# Results\n\n" + BEGIN)
    out.write_text("before\n" + fresh + "after\n")
    write_report([scores("full"), scores("label", level=31)], out)
    again = out.read_text()
    assert again.startswith("before\n# Results\n")
    assert again.endswith(END + "\nafter\n")
    assert again.count(BEGIN) == again.count(END) == 1
    assert "supported" in fresh.split("claims, tested")[1]
    assert "contradicted" in again.split("claims, tested")[1]
    write_report([scores("full"), scores("label", level=31)], out)
    assert out.read_text() == again


def test_a_file_with_one_marker_is_left_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "RESULTS.md"
    for text in (f"a\n{BEGIN}\nb", f"a\n{END}\nb", f"{END}\n{BEGIN}\n"):
        out.write_text(text)
        with pytest.raises(ValueError, match="one of them alone"):
            write_report([scores("full")], out)
        assert out.read_text() == text
    with pytest.raises(ValueError, match="at least one run"):
        write_report([], out)


def test_every_picture_that_the_report_names_is_there(tmp_path: Path) -> None:
    out = tmp_path / "RESULTS.md"
    write_report(study(), out)
    named = re.findall(r"!\[[^]]+\]\(([^)]+)\)", out.read_text())
    assert named == ["figures/variants.png", "figures/steps.png", "figures/peers.png"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["peers.png", "steps.png", "variants.png"]
    for name in named:
        with Picture.open(tmp_path / name) as picture:
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            assert min(picture.size) > 500


def test_one_photograph_and_one_seed_give_a_report(tmp_path: Path) -> None:
    write_report([scores(name, photographs=1) for name in ("full", "label", "plain")], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "inf" not in text
    assert "nan" not in text
    assert "no difference seen" in text


def test_photographs_that_differ_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    other = scores("label", photographs=5)
    with pytest.raises(ValueError, match="same photographs"):
        write_report([scores("full"), other], tmp_path / "RESULTS.md")
    assert not list(tmp_path.iterdir())
