"""The SNOMED CT codes are those of pydicom's tables of the DICOM standard, and every FLARE class has one."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from flare_trt.engine.model.flare_labels import FLARE_LABELS
from flare_trt.engine.results.dicom.codes import ANATOMICAL, LEFT, PRIVATE_SCHEME, RIGHT, STRUCTURES, Concept, structure


def keyword(concept: Concept) -> str:
    return "".join(word[0].upper() + word[1:] for word in concept.meaning.split())


@pytest.mark.parametrize("name", STRUCTURES)
def test_codes_mean_what_they_say(name: str) -> None:
    found = STRUCTURES[name]
    for concept in (found.category, found.kind, *([found.side] if found.side else [])):
        known = getattr(codes.SCT, keyword(concept))
        assert (concept.value, concept.scheme, concept.meaning) == (known.value, "SCT", known.meaning)


def test_every_class_of_flare_has_a_code() -> None:
    assert {label.name for label in FLARE_LABELS} == set(STRUCTURES)
    sides = {name: found.side for name, found in STRUCTURES.items()}
    assert {name for name, side in sides.items() if side is RIGHT} == {name for name in sides if name.startswith("right ")}
    assert {name for name, side in sides.items() if side is LEFT} == {name for name in sides if name.startswith("left ")}


def test_other_names() -> None:
    assert structure("Right_Kidney", 2) is STRUCTURES["right kidney"]
    other = structure("hepatic vessel " + "x" * 80, 17)
    assert other.category is ANATOMICAL
    assert (other.kind.scheme, other.kind.value, len(other.kind.meaning)) == (PRIVATE_SCHEME, "LABEL-17", 64)
