"""The SNOMED CT codes are those of pydicom's tables of the DICOM standard, and every name of the table of organs gets its own."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from flare_trt.engine.base.organs import ABNORMAL, ANATOMICAL, LEFT, RIGHT, STRUCTURES, Concept, Structure
from flare_trt.engine.results.dicom.codes import PRIVATE_SCHEME, coded


def keyword(concept: Concept) -> str:
    return "".join(word[0].upper() + word[1:] for word in concept.meaning.split())


@pytest.mark.parametrize("row", STRUCTURES, ids=lambda row: row.name)
def test_codes_mean_what_they_say(row: Structure) -> None:
    found = row.coded
    for concept in (found.category, found.kind, *([found.side] if found.side else [])):
        known = getattr(codes.SCT, keyword(concept))
        assert (concept.value, concept.scheme, concept.meaning) == (known.value, "SCT", known.meaning)


def test_sides_and_categories() -> None:
    for row in STRUCTURES:
        assert row.coded.side is {"right": RIGHT, "left": LEFT}.get(row.name.split()[0])
        assert row.coded.category is (ABNORMAL if row.name == "tumour" else ANATOMICAL)


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in STRUCTURES for name in (row.name, *row.synonyms)])
def test_every_synonym_has_the_code_of_its_organ(row: Structure, name: str) -> None:
    assert coded(name.replace(" ", "_"), 40) is row.coded
    assert coded(name.title(), 40) is row.coded


def test_other_names() -> None:
    other = coded("hepatic vessel " + "x" * 80, 17)
    assert other.category is ANATOMICAL
    assert (other.kind.scheme, other.kind.value, len(other.kind.meaning)) == (PRIVATE_SCHEME, "LABEL-17", 64)
