"""The rules that choose a series: what each keeps, ties and empty results, and the choice of a real study."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.facts import SeriesFacts
from flare_trt.engine.scans.dicom.rules import is_soft, parse_rules, pick

PLAIN = SeriesFacts(
    uid="1.2.1",
    study_uid="1.2",
    number="2",
    modality="CT",
    description="NOMEN^OMEN portal",
    kernel="B30f",
    contrast=True,
    phase="portal-venous",
    orientation="axial",
    original=True,
    slices=40,
    shape_zyx=(40, 9, 9),
    spacing_mm=(3.0, 0.7, 0.7),
    problem=None,
)
THIN = replace(PLAIN, uid="1.2.2", spacing_mm=(1.0, 0.7, 0.7))
SHARP = replace(PLAIN, uid="1.2.3", kernel="B70f", spacing_mm=(1.0, 0.7, 0.7))
CORONAL = replace(PLAIN, uid="1.2.4", original=False, orientation="coronal", spacing_mm=(0.5, 0.7, 0.7))
ARTERIAL = replace(PLAIN, uid="1.2.5", phase="arterial", spacing_mm=(0.6, 0.7, 0.7))
BROKEN = replace(PLAIN, uid="1.2.6", problem="got one slice", spacing_mm=(0.1, 0.7, 0.7))
STUDY = (PLAIN, THIN, SHARP, CORONAL, ARTERIAL, BROKEN)


@pytest.mark.parametrize(
    ("rules", "uid"),
    [
        ("thinnest", "1.2.4"),
        ("original-axial,thinnest", "1.2.5"),
        ("original-axial,portal-venous,soft-kernel,thinnest", "1.2.2"),
    ],
)
def test_rules_in_their_order(rules: str, uid: str) -> None:
    for order in list(permutations(STUDY))[::97]:
        assert pick(order, parse_rules(rules)).uid == uid


def test_a_tie_lists_what_is_left_without_free_text() -> None:
    with pytest.raises(InputError) as raised:
        pick(STUDY, ("original-axial", "portal-venous", "thinnest"))
    words = str(raised.value)
    assert "leaves 2 series, expected one" in words
    assert THIN.uid in words
    assert SHARP.uid in words
    assert PLAIN.uid not in words
    assert "NOMEN" not in words


def test_a_rule_that_keeps_none_lists_what_it_saw() -> None:
    with pytest.raises(InputError, match="--pick portal-venous: keeps none of these series") as raised:
        pick((ARTERIAL, BROKEN), ("portal-venous",))
    assert ARTERIAL.uid in str(raised.value)
    assert BROKEN.uid not in str(raised.value)


def test_nothing_usable_says_why() -> None:
    with pytest.raises(InputError, match=r"no series that can be segmented, expected one:\n  1.2.6: got one slice"):
        pick((BROKEN,), ("thinnest",))


def test_rounded_spacings_tie() -> None:
    with pytest.raises(InputError, match="leaves 2 series"):
        pick((THIN, replace(SHARP, spacing_mm=(1.002, 0.7, 0.7))), ("thinnest",))


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(InputError, match="got 'thickest', expected one or several of thinnest, original-axial"):
        parse_rules("thinnest,thickest")


def test_what_the_header_does_not_say_is_not_kept() -> None:
    bare = replace(PLAIN, kernel=None, original=None, phase=None)
    for rule in ("soft-kernel", "original-axial", "portal-venous"):
        with pytest.raises(InputError, match="keeps none"):
            pick((bare,), (rule,))


@pytest.mark.parametrize("kernel", ["I30f/3", "Bf37", "J40s", "Qr40d/2", "FC18", "STND", "soft", "C", "B20s"])
def test_soft_kernels(kernel: str) -> None:
    assert is_soft(kernel)


@pytest.mark.parametrize("kernel", ["Hr40", "B50f", "Bl64", "I70f", "LUNG", "EDGE", "D", "YA", "FC30", "FC56", "?"])
def test_other_kernels(kernel: str) -> None:
    assert not is_soft(kernel)
