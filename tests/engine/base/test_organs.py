"""The table of organs: values without gaps, names that mean one structure, and what the lookups give."""

from __future__ import annotations

import re

import pytest

from flare_trt.engine.base.organs import (
    ANCHOR_ORGANS,
    CORE_ORGANS,
    DEFAULT_REACH_MM,
    ORGANS,
    REACH_MM,
    STRUCTURES,
    TUMOUR,
    canonical,
    is_tumour,
    known,
    label_colour,
    reach_mm,
)
from flare_trt.engine.model.spec import FLARE_LABELS

#: The order of FLARE's own label files.
FLARE = [
    "liver",
    "right kidney",
    "spleen",
    "pancreas",
    "aorta",
    "inferior vena cava",
    "right adrenal gland",
    "left adrenal gland",
    "gallbladder",
    "esophagus",
    "stomach",
    "duodenum",
    "left kidney",
    "tumour",
]


def test_values_and_names_are_those_of_flare() -> None:
    assert [(row.value, row.name) for row in STRUCTURES] == list(enumerate(FLARE, start=1))
    assert [(label.value, label.name) for label in FLARE_LABELS] == list(enumerate(FLARE, start=1))
    assert (tuple(range(1, 14)), 14) == (ORGANS, TUMOUR)


def test_a_name_means_one_structure() -> None:
    names = [name for row in STRUCTURES for name in (row.name, *row.synonyms)]
    assert len(names) == len(set(names))
    assert [name for name in names if name != re.sub("[^a-z ]", "", name)] == []  # in plain form, else nothing finds them


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in STRUCTURES for name in (row.name, *row.synonyms)])
def test_every_spelling_is_found(row: object, name: str) -> None:
    for spelling in (name, name.upper(), name.title().replace(" ", "_"), f" {name} "):
        assert known(spelling) is row


def test_names_of_totalsegmentator_and_amos() -> None:
    spellings = {"kidney_right": 2, "kidney_left": 13, "adrenal_gland_right": 7, "adrenal_gland_left": 8, "inferior_vena_cava": 6}
    assert {name: known(name).value for name in spellings} == spellings  # type: ignore[union-attr]
    assert (canonical("postcava"), canonical("oesophagus")) == ("inferior vena cava", "esophagus")
    assert (known("rib_left_3"), canonical("rib_Left_3")) == (None, "rib left 3")


def test_what_the_roi_asks() -> None:
    assert set(ANCHOR_ORGANS) == {"liver", "spleen", "right kidney", "left kidney"}
    assert set(CORE_ORGANS) == {*ANCHOR_ORGANS, "stomach", "pancreas", "aorta"}
    assert set(REACH_MM) == {"aorta", "inferior vena cava", "esophagus"}
    assert (reach_mm("Oesophagus"), reach_mm("Liver"), reach_mm("rib 3")) == (350.0, DEFAULT_REACH_MM, DEFAULT_REACH_MM)
    assert all(0 < limits.low_ml < limits.high_ml for limits in CORE_ORGANS.values())


def test_tumours() -> None:
    assert [name for name in map(str, FLARE) if is_tumour(name)] == ["tumour"]
    assert all(map(is_tumour, ("liver_tumor", "Pancreatic Cancer", "lesions", *STRUCTURES[-1].synonyms)))
    assert [row.value for row in STRUCTURES if row.lesion] == [TUMOUR]


def test_colours() -> None:
    colours = [row.colour for row in STRUCTURES]
    assert len(set(colours)) == len(colours)
    assert label_colour(40, "Kidney_Left") == STRUCTURES[12].colour
    others = {label_colour(value, "rib") for value in range(1, 100)}
    assert len(others) > 90
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in (*colours, *others))
