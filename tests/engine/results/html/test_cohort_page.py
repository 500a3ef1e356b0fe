"""The batch's page: what it counts, the spread of whole organs, and where the dots lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.results.html.test_page import Element, Tree
from tests.engine.results.test_cohort import CASE, LIVER, cohort

from flare_trt.engine.results.agreement import OrganAgreement
from flare_trt.engine.results.cohort import CaseNumbers
from flare_trt.engine.results.html.cohort_page import cohort_page, write_cohort_page


def tables(cases: list[CaseNumbers]) -> dict[str, list[list[str]]]:
    """The rows below the heads, by the first head."""
    found = {}
    for table in Tree(cohort_page(cases)).root.all("table"):
        head, *body = [[" ".join(cell.words.split()) for cell in row.children] for row in table.all("tr")]
        found[head[0] + str(len(head))] = body
    return found


def cards(page: str) -> dict[str, str]:
    root = Tree(page).root
    return dict(zip([e.text for e in root.all("dt")], [e.text for e in root.all("dd")], strict=True))


@pytest.mark.parametrize("cases", [[CASE, CaseNumbers("b", error="da<maged")], cohort(1400, 1450, 1500, 1550, 1600, 4000), []])
def test_the_page_stands_alone(cases: list[CaseNumbers]) -> None:
    page = cohort_page(cases)
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    for raw in ("<spacing>", "da<maged"):
        assert raw not in page
    assert f"<dd>{len(cases)}</dd>" in page
    assert page.count('class="far"') == sum(case.case == "c5" for case in cases)


def test_cards_count_scans(tmp_path: Path) -> None:
    write_cohort_page(tmp_path / "p.html", [CASE, CaseNumbers("b", error="damaged"), *cohort(40)])
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert cards(page) == {"scans": "3", "failed": "1", "with warnings": "1", "values that stand out": "1"}


def test_the_spread_is_of_whole_organs_alone() -> None:
    whole = cohort(1400, 1500, 1800)
    cut = CaseNumbers("cut", organs=(replace(LIVER, volume_ml=300.0),))
    (liver,) = tables([*whole, cut, CaseNumbers("bad", error="damaged"), CaseNumbers("head", looked=False)])["Organ6"]
    assert liver == ["liver", "4 of 4", "3", "1500.0 (1400.0 to 1800.0)", "110 (110 to 110)", ""]
    (only,) = tables([cut])["Organ6"]
    assert only == ["liver", "1 of 1", "0", "–", "–", "–"]


def dots(cases: list[CaseNumbers]) -> list[Element]:
    return list(Tree(cohort_page(cases)).root.all("circle"))


def test_dots_lie_between_the_smallest_and_the_largest_volume() -> None:
    """240 wide with edges of 6: 1500 ml is a quarter of the way from 1400 to 1800, at 6 + 228 / 4."""
    assert [dot.attributes["cx"] for dot in dots(cohort(1400, 1500, 1800))] == ["6.0", "63.0", "234.0"]
    assert [dot.attributes["cx"] for dot in dots(cohort(1500, 1500))] == ["6.0", "6.0"], "no spread, and no division by it"


def test_a_row_a_scan() -> None:
    agreement = (*CASE.agreement, OrganAgreement("spleen", 0.0, 0.0, None), OrganAgreement("tumour", 5.0, 6.0, 0.5))
    first, failed, empty = tables([replace(CASE, agreement=agreement), CaseNumbers("b", error="damaged"), CaseNumbers("c")])[
        "Scan7"
    ]
    assert first == ["=case,1", "portal-venous", "2 of 3", "1", "1", "0.735", 'odd <spacing> · said "so"']
    assert failed == ["b", *["–"] * 5, "failed: damaged"]
    assert empty == ["c", "unknown", "0 of 0", "0", "–", "–", "–"]


def test_what_stands_out_has_its_value_and_reason() -> None:
    (row,) = tables(cohort(40.126))["Scan5"]
    assert row == ["c0", "liver", "volume (ml)", "40.13", "outside of 250 to 5000 ml"]
