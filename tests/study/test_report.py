"""The report: what it says of made-up scores, its figures, and the file around it."""

import os
import re
from csv import DictReader
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Picture

from defusion.study import report, words
from defusion.study.cells import change, interval, ratio, verdict
from defusion.study.claims import CLAIMS, PAPER, PEERS, VARIANTS, PaperRow, differs
from defusion.study.report import BEGIN, END, write_report
from defusion.study.results import Results
from defusion.study.scores import Provenance
from defusion.study.statistics import Estimate, Interval
from defusion.study.tables import (
    claims_table,
    generalising_table,
    matched_table,
    ours_table,
    peers_table,
    steps_table,
)
from tests.study.made_up import scores, study

SHARED = Path(os.environ.get("DEFUSION_SHARED", Path(__file__).parents[3] / "shared"))
KEYS = ("psnr", "ssim", "lpips")
IN_THE_PAPER = {
    "full": "full",
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


def leading(cell: str) -> float:
    """The number that a cell begins with."""
    return float(cell.split("<br>")[0])


def test_the_papers_rows_are_those_of_the_shared_tables() -> None:
    file = SHARED / "paper" / "tables.csv"
    if not file.is_file():
        pytest.skip(f"no tables at {file}")
    with file.open(newline="", encoding="utf-8") as text:
        rows = {row["method"]: row for row in DictReader(text) if row["table"] == "5"}
    expected = {IN_THE_PAPER[name]: PaperRow(*(float(row[key]) for key in KEYS)) for name, row in rows.items()}
    assert expected == PAPER


def test_what_is_known_of_variants_and_claims_fits() -> None:
    assert set(PAPER) <= set(VARIANTS)
    assert {name for claim in CLAIMS for name in (claim.variant, claim.reference)} == set(VARIANTS)
    assert len({(claim.variant, claim.reference) for claim in CLAIMS}) == len(CLAIMS)


def test_variants_without_a_gate_are_compared_with_one_that_has_none() -> None:
    """And what enters in another way than by the bridge alone, with the bridge alone."""
    ungated = {name for name, words in VARIANTS.items() if "no gate" in words and name != "no_gate"}
    assert ungated == {claim.variant for claim in CLAIMS if claim.reference == "no_gate"}
    assert {claim.variant for claim in CLAIMS if claim.reference == "bridge_alone"} == {"concatenate", "decoder"}


ABOVE, BELOW, AROUND = Interval(0.1, 0.3), Interval(-0.3, -0.1), Interval(-0.1, 0.3)


@pytest.mark.parametrize(
    ("metric", "value", "photographs", "seeds", "expected"),
    [
        ("psnr", -0.2, BELOW, BELOW, "supported"),
        ("psnr", 0.2, ABOVE, ABOVE, "contradicted"),
        ("ssim", -0.2, BELOW, BELOW, "supported"),
        ("lpips", -0.2, BELOW, BELOW, "contradicted"),
        ("lpips", 0.2, ABOVE, ABOVE, "supported"),
        ("psnr", 0.2, ABOVE, AROUND, "not decided"),
        ("psnr", 0.2, AROUND, ABOVE, "not decided"),
        ("psnr", 0.2, Interval(0.0, 0.3), ABOVE, "not decided"),
        ("psnr", 0.2, ABOVE, None, "not decided"),
        ("psnr", 0.2, None, ABOVE, "not decided"),
    ],
)
def test_a_verdict_needs_both_intervals(
    metric: str, value: float, photographs: Interval | None, seeds: Interval | None, expected: str
) -> None:
    assert verdict(Estimate(value, photographs, seeds, 0.1, 3), metric) == expected


def test_what_is_unknown_is_shown_as_such() -> None:
    known = Estimate(0.2, ABOVE, AROUND, 0.05, 3)
    assert change(known, "psnr") == "+0.20<br>photographs [+0.10, +0.30]<br>seeds [-0.10, +0.30]"
    assert interval(known, "psnr") == "0.20 [0.10, 0.30] ± 0.05"
    unknown = Estimate(0.2, None, None, None, 1)
    assert change(unknown, "lpips") == "+0.2000<br>photographs [?]<br>seeds [?]"
    assert interval(unknown, "psnr") == "0.20 [?] ± ?"


def test_each_claim_is_compared_with_its_own_reference(results: Results) -> None:
    rows = cells(claims_table(results))
    names = rows.pop("claim")
    assert set(rows) == {claim.statement for claim in CLAIMS}
    place = names.index("PSNR, dB")
    for claim in CLAIMS:
        row = rows[claim.statement]
        assert row[1:3] == [f"{claim.variant} - {claim.reference}", "3"]
        found = results.difference(claim.variant, claim.reference, "psnr")
        assert row[place] == f"{change(found, 'psnr')}<br>{verdict(found, 'psnr')}"
    spaces = rows["Diffusing the degradation is better than diffusing the picture"]
    assert spaces[3] == "-2.11"
    assert spaces[place].endswith("supported")
    assert rows["A visual instruction is better than a task label"][place].endswith("contradicted")
    assert rows["Quantised tokens are better than continuous ones"][place].endswith("not decided")


def test_seeds_that_one_side_lacks_are_counted_and_left_out() -> None:
    own = Results([scores("full", 0), scores("full", 1), scores("label", 1), scores("text", 2)])
    rows = cells(claims_table(own))
    assert list(rows)[1:] == ["A visual instruction is better than a task label"], "text has no seed of full's"
    assert rows["A visual instruction is better than a task label"][2] == "1"
    assert cells(ours_table(own))["full"][3] == "2"


def test_a_claim_without_its_reference_is_not_tested() -> None:
    own = Results([scores("full"), scores("image_space"), scores("label")])
    assert list(cells(claims_table(own)))[1:] == ["A visual instruction is better than a task label"]


def test_the_variants_stand_beside_the_papers_rows(results: Results) -> None:
    rows = cells(ours_table(results))
    head = rows.pop("variant")
    assert head[4:] == [
        *(f"{task}: PSNR, dB / SSIM / LPIPS" for task in ("derain", "dehaze", "desnow")),
        "mean: PSNR, dB<br>SSIM<br>LPIPS",
        "paper's Table 5: PSNR, dB / SSIM / LPIPS",
    ]
    assert list(rows) == list(VARIANTS)
    assert rows["full"][-1] == "33.83 / 0.951 / 0.025"
    assert rows["label"][-1] == ""
    assert rows["blank"][1:4] == ["a blank ground", "1.89 M", "3"]
    mean = results.values("blank", "psnr").estimate()
    assert rows["blank"][7].startswith(interval(mean, "psnr"))
    assert re.fullmatch(r"\d+\.\d\d / 0\.\d{3} / 0\.\d{3}", rows["blank"][4])


def test_steps_are_in_order_beside_one_step(results: Results) -> None:
    lines = steps_table(results).splitlines()[2:]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")[:2]) for line in lines]
    assert found == [*(("DDIM", str(own)) for own in (1, 2, 4, 10, 50)), *(("SDE", str(own)) for own in (2, 4, 10, 50))]
    assert lines[0].endswith("|  |")
    assert "| -1.1" in lines[4]


def test_both_samplers_begin_at_the_one_step_that_is_measured(results: Results) -> None:
    points = report._steps(results)
    first = {own.sampler: own for own in points if own.steps == 1}
    assert set(first) == {"ddim", "sde"}
    assert (first["sde"].psnr, first["sde"].lpips) == (first["ddim"].psnr, first["ddim"].lpips)
    assert [own.steps for own in points if own.sampler == "sde"] == [2, 4, 10, 50, 1]
    assert report._steps(Results([scores("full", lpips=None)])) == []


def test_instructions_are_compared_on_the_same_severities(results: Results) -> None:
    rows = cells(matched_table(results))
    assert list(rows) == ["severity", "0.2", "0.5", "0.8", "1.0"]
    place = rows["severity"].index("type- less parameter-matched: PSNR, dB")
    assert leading(rows["0.8"][place]) == pytest.approx(-0.5, abs=0.2)
    assert rows["0.8"][place].endswith("supported")
    assert rows["0.5"][place].endswith("not decided")
    assert leading(rows["1.0"][place]) == pytest.approx(-0.5, abs=0.2)
    assert rows["1.0"][-1] == "", "LPIPS was not measured there"
    assert rows["0.8"][-1]


def test_generalisation_is_tested_outside_of_the_training_against_inside(results: Results) -> None:
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in generalising_table(results).splitlines()[2:]
    ]
    places = {line[0]: line[1] for line in lines}
    assert places == {
        "severity 0.5: rain, haze, snow": "in training",
        "severity 0.2: rain, haze, snow": "in training",
        "severity 0.8: rain, haze, snow": "in training",
        "severity 0.1: rain, haze, snow": "outside",
        "severity 1.0: rain, haze, snow": "outside",
        "severity 0.5: rain+haze, snow+haze": "in training",
        "severity 0.5: rain+snow+haze": "outside",
    }
    outside = {line[2]: line for line in lines if line[0].startswith("severity 1.0")}
    assert list(outside) == ["full", "no_gate", "label", "text", "no_instruction"]
    assert {name: line[3] for name, line in outside.items() if line[3]} == {
        "label": "full",
        "text": "full",
        "no_instruction": "no_gate",
    }
    level = 2 * (29.1 - 30)
    assert leading(outside["no_instruction"][6]) == pytest.approx(level, abs=0.2)
    assert leading(outside["no_instruction"][7]) == pytest.approx(level / 2, abs=0.2)
    assert outside["no_instruction"][7].endswith("supported")
    assert outside["label"][7].endswith("contradicted")
    assert not any(line[7] for line in lines if line[1] == "in training")


def test_peers_stand_beside_the_whole_method_and_its_time(results: Results) -> None:
    rows = cells(peers_table(results))
    assert list(rows) == ["network", "full", *PEERS]
    assert rows["plain"][2:8] == ["1.89 M (+0.0%)", "3", "1,500", "601", "1.00", "0.80 (not equal)"]
    assert rows["plain"][-1].startswith("-2.0")
    assert rows["full"][-1] == rows["full"][6] == ""
    assert "took 150 s" in words.peers(results)


def test_times_that_are_not_equal_are_marked() -> None:
    assert [ratio(own, 100) for own in (96, 104, 94, 106)] == ["0.96", "1.04", "0.94 (not equal)", "1.06 (not equal)"]
    assert ratio(95, None) == "?"
    own = Results([replace(scores(name), tokenizer_seconds=None) for name in ("full", "plain")])
    assert cells(peers_table(own))["plain"][6:8] == ["1.00", "?"]
    assert "was not timed" in words.peers(own)


def test_the_report_says_on_what_it_rests(results: Results) -> None:
    text = words.provenance(results)
    for part in (
        "`photos`",
        "12 photographs",
        "1,500 steps of 16",
        "64 px",
        "256 px",
        "muon",
        "a made-up CPU",
        "photo3",
    ):
        assert part in text
    assert "decay of (not recorded)" in text
    other = replace(scores("label"), provenance=Provenance(data="`others`", averaging=0.99))
    assert "`photos` or `others`" in words.provenance(Results([scores("full"), other]))
    assert "which changed" not in text
    new = replace(scores("label"), provenance=Provenance(code="12ab"))
    found = words.provenance(Results([scores("full"), new]))
    assert "The digest of the code that trained (which changed between the trainings): 12ab or (not recorded)." in found
    assert "The digest of the code that trained: 12ab." in words.provenance(Results([new]))
    assert "The code that trained was not recorded." in words.provenance(Results([scores("full"), scores("label")]))
    assert f"{3 * len(CLAIMS)} differences" in words.reading(results)


def test_nothing_measured_gives_no_table() -> None:
    own = Results([scores("full")])
    tables = (steps_table, matched_table, generalising_table, peers_table, claims_table)
    assert [table(own) for table in tables] == [""] * 5
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
    assert own.metrics == ("psnr", "ssim")
    assert "LPIPS" not in claims_table(own)
    assert "LPIPS was not measured of all runs (not of label, seed 0)." in words.reading(own)
    assert "LPIPS was not measured. " in words.reading(Results([scores("full", lpips=None)]))
    assert "LPIPS was not measured" not in words.reading(Results([scores("full")]))


def test_lpips_of_several_networks_is_refused() -> None:
    by_one, by_another = (replace(scores(name), identity={"lpips": name}) for name in ("full", "label"))
    with pytest.raises(ValueError, match="one network, got several; measure all runs with one --lpips"):
        Results([by_one, by_another])


def test_the_section_is_replaced_and_the_rest_kept(tmp_path: Path) -> None:
    out = tmp_path / "experiments" / "RESULTS.md"
    full = [scores("full", seed) for seed in range(3)]
    write_report([*full, *(scores("label", seed, 29) for seed in range(3))], out)
    fresh = out.read_text()
    assert fresh.startswith("# Results\n\n" + BEGIN)
    out.write_text("before\n" + fresh + "after\n")
    write_report([*full, *(scores("label", seed, 31) for seed in range(3))], out)
    again = out.read_text()
    assert again.startswith("before\n# Results\n")
    assert again.endswith(END + "\nafter\n")
    assert again.count(BEGIN) == again.count(END) == 1
    assert "<br>supported" in fresh
    assert "<br>contradicted" in again
    write_report([*full, *(scores("label", seed, 31) for seed in range(3))], out)
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
    assert "not decided" in text


def test_photographs_that_differ_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    other = scores("label", photographs=5)
    with pytest.raises(ValueError, match="same photographs"):
        write_report([scores("full"), other], tmp_path / "RESULTS.md")
    assert not list(tmp_path.iterdir())
