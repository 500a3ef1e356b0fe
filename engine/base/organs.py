"""What a plausible abdomen looks like: the ranges and orders that the ROI is checked against.

Volumes are generous adult-to-child ranges (about 1st to 99th percentile of abdominal CT, doubled on both sides), since a guard
that fires costs time and one that does not fire may cost an organ. Names are matched after lower-casing, "_" as a space.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OrganRange:
    """Plausible volume of a whole organ in ml."""

    low_ml: float
    high_ml: float


#: Organs that every abdomen should show; the others may be removed, collapsed or out of the field.
CORE_ORGANS: dict[str, OrganRange] = {
    "liver": OrganRange(250, 5000),
    "spleen": OrganRange(20, 2500),
    "right kidney": OrganRange(30, 800),
    "left kidney": OrganRange(30, 800),
    "stomach": OrganRange(20, 3000),
    "pancreas": OrganRange(10, 400),
    "aorta": OrganRange(20, 800),
}

#: The solid organs around which everything else lies.
ANCHOR_ORGANS = ("liver", "spleen", "right kidney", "left kidney")

#: A piece of an organ that lies farther than this from the anchors' cluster is a stray.
REACH_MM: dict[str, float] = {"aorta": 350.0, "inferior vena cava": 350.0, "esophagus": 350.0}
DEFAULT_REACH_MM = 120.0

#: Longest plausible extents of the box around all organs, (head-foot, front-back, left-right).
MAX_EXTENT_MM = (750.0, 400.0, 480.0)

#: A label whose name holds one of these words is measured lesion by lesion.
_TUMOUR_WORDS = frozenset({"tumour", "tumor", "lesion", "metastasis", "cancer", "mass"})


def canonical(name: str) -> str:
    """A label's name as this module spells it."""
    plain = name.lower().replace("_", " ").strip()
    turned = {"kidney right": "right kidney", "kidney left": "left kidney", "oesophagus": "esophagus"}
    return turned.get(plain, plain)


def reach_mm(name: str) -> float:
    """How far from the anchors' cluster a piece of this organ may lie."""
    return REACH_MM.get(canonical(name), DEFAULT_REACH_MM)


def is_tumour(name: str) -> bool:
    """Whether a label stands for tumours.

    >>> is_tumour("Liver_Tumor"), is_tumour("tumours"), is_tumour("liver")
    (True, True, False)
    """
    return any(word in _TUMOUR_WORDS or word.removesuffix("s") in _TUMOUR_WORDS for word in canonical(name).split())
