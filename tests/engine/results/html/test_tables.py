"""Cells of the report's tables, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.engine.results.html.test_page import Tree, report

from flare_trt.engine.results.contrast_phase import ContrastPhase
from flare_trt.engine.results.html.markup import Markup
from flare_trt.engine.results.html.tables import about_table, completeness, organ_table, stage_table, tumour_section
from flare_trt.engine.results.lesions import Lesion, TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure

#: Axes of the array (z, y, x): its box is 11 x 22 x 33 voxels.
LIVER = OrganMeasure(
    1,
    "liver",
    9000,
    1500.26,
    61.4,
    20.6,
    (3, 4, 5),
    (14, 26, 38),
    (27.5, 22.4, 49.5),
    median_hu=-0.6,
    p10_hu=35.4,
    p90_hu=88.6,
    slice_index=6,
)
COLOURS = {1: "#b5523b"}


def rows(markup: Markup) -> list[list[str]]:
    return [[" ".join(cell.words.split()) for cell in row.children] for row in Tree(markup.text).root.all("tr")][1:]


@pytest.mark.parametrize(
    ("orientation", "size", "slices"),
    [("SPL", "28 × 22 × 50", "4–14"), ("LSP", "22 × 50 × 28", "5–26"), ("PRI", "50 × 28 × 22", "6–38")],
)
def test_sizes_come_in_the_patient_s_order_and_slices_along_its_axis(orientation: str, size: str, slices: str) -> None:
    (row,) = rows(organ_table(replace(report(), orientation=orientation, organs=(LIVER,)), COLOURS))
    assert row == ["liver", "1500.3", "61", "21", "-1", "35 to 89", size, slices, "7", "whole"]


def test_values_that_are_missing_are_dashes() -> None:
    (row,) = rows(organ_table(replace(report(), organs=(replace(LIVER, std_hu=None, p10_hu=None),)), COLOURS))
    assert (row[3], row[5]) == ("–", "–")
    (row,) = rows(organ_table(replace(report(), organs=(OrganMeasure(1, "liver", 0, 0.0),)), COLOURS))
    assert row == ["liver", *["–"] * 8, "not found"]


def test_slices_that_the_page_shows_are_led_to_and_others_are_only_named() -> None:
    given = replace(report(), organs=(LIVER,), tumours=(TumourMeasure(14, "tumour", (lesion(6), lesion(7)), 0),))
    organs, lesions = (Tree(made.text).root for made in (organ_table(given, COLOURS, {6}), tumour_section(given, {6})))
    (organ_link,), (lesion_link,) = list(organs.all("a")), list(lesions.all("a"))
    assert organ_link.attributes == lesion_link.attributes == {"href": "#slice-7"}
    assert (organ_link.text, lesion_link.text) == ("7", "7")
    assert "href" not in organ_table(given, COLOURS).text


def test_edges_in_words() -> None:
    assert completeness(("S", "L", "A")) == "cut: superior, left and anterior"


def lesion(number: int) -> Lesion:
    return Lesion(
        100.126 - number, 41.67, 32.46, 43.06, number, (0, 0, 0), (1, 1, 1), ("I",), "liver" if number else "", 40.4, None, -9.6
    )


@pytest.mark.parametrize(("count", "listed"), [(1, 1), (25, 25), (26, 25)])
def test_the_25_largest_lesions_are_listed_and_all_are_counted(count: int, listed: int) -> None:
    markup = tumour_section(replace(report(), tumours=(TumourMeasure(14, "tumour", tuple(map(lesion, range(count))), 0),)))
    found = rows(markup)
    assert len(found) == listed
    assert found[0] == ["1", "none near", "40", "-10", "100.13", "41.7", "32.5", "43.1", "-", "1",
                        "cut: inferior"]  # fmt: skip
    assert f"Found: {count}." in markup.text
    assert ("The 25 largest are listed." in markup.text) == (count > 25)
    assert "Pieces under" not in markup.text
    assert "Certainty:" not in markup.text


def test_a_lesion_s_certainty_is_listed_and_explained() -> None:
    markup = tumour_section(replace(report(), tumours=(TumourMeasure(14, "tumour", (replace(lesion(1), certainty=0.256),), 0),)))
    assert rows(markup)[0][8] == "0.26"
    assert "Certainty: the share of voxels of which the network was surest." in markup.text


def test_stages_add_up() -> None:
    run = replace(report().run, stages={"read": 0.125, "fine": 2.5, "write": 0.25})
    assert rows(stage_table(replace(report(), run=run))) == [["read", "0.12"], ["fine", "2.50"], ["write", "0.25"], ["all", "2.88"]]


def test_how_it_was_made() -> None:
    given = replace(report(), spacing_mm=(2.5, 0.703125, 1.0), phase=ContrastPhase("arterial", 312.4, None, 61.6), series_uid="1.2")
    found = dict(rows(about_table(given)))
    assert found["Contrast phase, by its HU"] == "arterial (median HU: aorta 312, liver 62)"
    assert found["Spacing (mm, z × y × x)"] == "2.5 × 0.703125 × 1"
    assert (found["Voxels (z × y × x)"], found["Series UID"], found["Tiles"]) == ("40 × 50 × 60", "1.2", "8 fine")
    assert dict(rows(about_table(report())))["Series UID"] == "–"
