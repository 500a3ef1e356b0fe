"""What the project knows of each organ: one row a structure, and the lookups by name.

FLARE's label values, names and colours; other names in use; SNOMED CT codes (of DICOM's context groups 7150, 7151 and 244);
how large an organ may be and how far it may reach; the tolerances of FLARE's scores.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

(
    LIVER,
    RIGHT_KIDNEY,
    SPLEEN,
    PANCREAS,
    AORTA,
    VENA_CAVA,
    RIGHT_ADRENAL,
    LEFT_ADRENAL,
    GALLBLADDER,
    ESOPHAGUS,
    STOMACH,
    DUODENUM,
    LEFT_KIDNEY,
    TUMOUR,
) = range(1, 15)  # FLARE 2022 to 2025; FLARE 2022 had no tumours

#: The label values of the 13 organs.
ORGANS = tuple(range(LIVER, TUMOUR))


@dataclass(frozen=True)
class Concept:
    """A coded concept: value, scheme and meaning as DICOM writes them."""

    value: str
    meaning: str
    scheme: str = "SCT"


@dataclass(frozen=True)
class Coded:
    """A structure in codes: its category, what it is, and its side where it has one."""

    category: Concept
    kind: Concept
    side: Concept | None = None


ANATOMICAL = Concept("91723000", "Anatomical Structure")
ABNORMAL = Concept("49755003", "Morphologically Abnormal Structure")
RIGHT, LEFT = Concept("24028007", "Right"), Concept("7771000", "Left")


@dataclass(frozen=True)
class OrganRange:
    """Plausible volume of a whole organ in ml."""

    low_ml: float
    high_ml: float


#: A piece of an organ that lies farther than this from the cluster of anchors is a stray, unless the organ reaches farther.
DEFAULT_REACH_MM = 120.0


@dataclass(frozen=True)
class Structure:
    """One label. `synonyms` are other names in plain form (see `canonical`).

    `plausible_ml` is set for organs that every abdomen should show; the others may be removed, collapsed or out of the field.
    The ranges are generous, child to adult (about 1st to 99th percentile of abdominal CT, doubled on both sides), since a guard
    that fires costs time and one that does not fire may cost an organ. `anchor` marks the solid organs that all else lies around.
    `short` is the column name of FLARE's own tables, `tolerance_mm` that of its NSD (github.com/JunMa11/FLARE,
    FLARE23/FLARE23_DSC_NSD_Eval.py). A `tubular` structure is scored only where the reference is labelled along z.
    """

    value: int
    name: str
    colour: str  # "#rrggbb"
    coded: Coded
    short: str
    tolerance_mm: float
    synonyms: tuple[str, ...] = ()
    plausible_ml: OrganRange | None = None
    reach_mm: float = DEFAULT_REACH_MM
    anchor: bool = False
    tubular: bool = False

    @property
    def lesion(self) -> bool:
        """Whether this is disease and no organ."""
        return self.coded.category is ABNORMAL


def _organ(code: str, meaning: str, side: Concept | None = None) -> Coded:
    return Coded(ANATOMICAL, Concept(code, meaning), side)


_RIGHT_KIDNEY, _LEFT_KIDNEY = (_organ("64033007", "Kidney", side) for side in (RIGHT, LEFT))
_ADRENAL = ("23451007", "Adrenal gland")
_AORTA, _CAVA = _organ("15825003", "Aorta"), _organ("64131007", "Inferior vena cava")
_ESOPHAGUS, _NEOPLASM = _organ("32849002", "Esophagus"), Coded(ABNORMAL, Concept("108369006", "Neoplasm"))
_KIDNEY_ML, _LONG_MM = OrganRange(30, 800), 350.0

#: All structures, by label value.
STRUCTURES: tuple[Structure, ...] = (
    Structure(LIVER, "liver", "#b5523b", _organ("10200004", "Liver"), "Liver", 5.0, (), OrganRange(250, 5000), anchor=True),
    Structure(RIGHT_KIDNEY, "right kidney", "#e0a030", _RIGHT_KIDNEY, "RK", 3.0, ("kidney right",), _KIDNEY_ML, anchor=True),
    Structure(SPLEEN, "spleen", "#7a5fb0", _organ("78961009", "Spleen"), "Spleen", 3.0, (), OrganRange(20, 2500), anchor=True),
    Structure(PANCREAS, "pancreas", "#f2d14a", _organ("15776009", "Pancreas"), "Pancreas", 5.0, (), OrganRange(10, 400)),
    Structure(AORTA, "aorta", "#e03c31", _AORTA, "Aorta", 2.0, (), OrganRange(20, 800), _LONG_MM, tubular=True),
    Structure(VENA_CAVA, "inferior vena cava", "#3d6fd9", _CAVA, "IVC", 2.0, ("ivc", "postcava"), reach_mm=_LONG_MM, tubular=True),
    Structure(RIGHT_ADRENAL, "right adrenal gland", "#45c4b0", _organ(*_ADRENAL, RIGHT), "RAG", 2.0, ("adrenal gland right",)),
    Structure(LEFT_ADRENAL, "left adrenal gland", "#2a9d8f", _organ(*_ADRENAL, LEFT), "LAG", 2.0, ("adrenal gland left",)),
    Structure(GALLBLADDER, "gallbladder", "#6fbf4b", _organ("28231008", "Gallbladder"), "Gallbladder", 2.0, ("gall bladder",)),
    Structure(ESOPHAGUS, "esophagus", "#d98cb3", _ESOPHAGUS, "Esophagus", 3.0, ("oesophagus",), None, _LONG_MM, tubular=True),
    Structure(STOMACH, "stomach", "#e88fa2", _organ("69695003", "Stomach"), "Stomach", 5.0, (), OrganRange(20, 3000)),
    Structure(DUODENUM, "duodenum", "#c9a27e", _organ("38848004", "Duodenum"), "Duodenum", 7.0),
    Structure(LEFT_KIDNEY, "left kidney", "#f4a259", _LEFT_KIDNEY, "LK", 3.0, ("kidney left",), _KIDNEY_ML, anchor=True),
    Structure(TUMOUR, "tumour", "#ffffff", _NEOPLASM, "Lesion", 2.0, ("tumor", "tumours", "tumors")),
)

_BY_NAME = {name: structure for structure in STRUCTURES for name in (structure.name, *structure.synonyms)}

#: Organs that every abdomen should show, and how large they may be.
CORE_ORGANS: dict[str, OrganRange] = {s.name: s.plausible_ml for s in STRUCTURES if s.plausible_ml}
#: The solid organs around which everything else lies.
ANCHOR_ORGANS = tuple(structure.name for structure in STRUCTURES if structure.anchor)
#: Organs whose pieces may lie farther from the anchors' cluster than DEFAULT_REACH_MM.
REACH_MM: dict[str, float] = {s.name: s.reach_mm for s in STRUCTURES if s.reach_mm != DEFAULT_REACH_MM}
#: Longest plausible extents of the box around all organs, (head-foot, front-back, left-right).
MAX_EXTENT_MM = (750.0, 400.0, 480.0)

#: A label whose name holds one of these words is measured lesion by lesion.
_TUMOUR_WORDS = frozenset({"tumour", "tumor", "lesion", "metastasis", "cancer", "mass"})
_GOLDEN_RATIO = 0.618034  # steps of this share of the circle keep neighbouring labels apart


def known(name: str) -> Structure | None:
    """The structure of a label's name in any spelling, None for one that is not in the table.

    >>> known("Kidney_Right").name, known("oesophagus").value, known("rib 3")
    ('right kidney', 10, None)
    """
    return _BY_NAME.get(_plain(name))


def canonical(name: str) -> str:
    """A label's name as the table spells it; another name in lower case, with spaces for "_"."""
    found = known(name)
    return found.name if found else _plain(name)


def reach_mm(name: str) -> float:
    """How far from the anchors' cluster a piece of this organ may lie."""
    return REACH_MM.get(canonical(name), DEFAULT_REACH_MM)


def is_tumour(name: str) -> bool:
    """Whether a label stands for tumours.

    >>> is_tumour("Liver_Tumor"), is_tumour("tumours"), is_tumour("liver")
    (True, True, False)
    """
    return any(word in _TUMOUR_WORDS or word.removesuffix("s") in _TUMOUR_WORDS for word in _plain(name).split())


def label_colour(value: int, name: str) -> str:
    """The table's colour, else a hue by the value, as "#rrggbb"."""
    if found := known(name):
        return found.colour
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN_RATIO % 1, 0.65, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").strip()
