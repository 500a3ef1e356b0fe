"""What a structure is, in SNOMED CT, for DICOM-SEG and RTSTRUCT; the codes of DICOM's context groups 7150, 7151 and 244."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """A coded concept: value, scheme and meaning as DICOM writes them."""

    value: str
    meaning: str
    scheme: str = "SCT"


@dataclass(frozen=True)
class Structure:
    """A structure's category, what it is, and its side where it has one."""

    category: Concept
    kind: Concept
    side: Concept | None = None


ANATOMICAL = Concept("91723000", "Anatomical Structure")
ABNORMAL = Concept("49755003", "Morphologically Abnormal Structure")
RIGHT, LEFT = Concept("24028007", "Right"), Concept("7771000", "Left")
#: Scheme for classes that have no code here; "99" marks a private one (PS3.16, section 8.2).
PRIVATE_SCHEME = "99FLARETRT"

_KIDNEY, _ADRENAL = Concept("64033007", "Kidney"), Concept("23451007", "Adrenal gland")

#: The classes of FLARE, by their names in flare_labels.
STRUCTURES: dict[str, Structure] = {
    "liver": Structure(ANATOMICAL, Concept("10200004", "Liver")),
    "right kidney": Structure(ANATOMICAL, _KIDNEY, RIGHT),
    "spleen": Structure(ANATOMICAL, Concept("78961009", "Spleen")),
    "pancreas": Structure(ANATOMICAL, Concept("15776009", "Pancreas")),
    "aorta": Structure(ANATOMICAL, Concept("15825003", "Aorta")),
    "inferior vena cava": Structure(ANATOMICAL, Concept("64131007", "Inferior vena cava")),
    "right adrenal gland": Structure(ANATOMICAL, _ADRENAL, RIGHT),
    "left adrenal gland": Structure(ANATOMICAL, _ADRENAL, LEFT),
    "gallbladder": Structure(ANATOMICAL, Concept("28231008", "Gallbladder")),
    "esophagus": Structure(ANATOMICAL, Concept("32849002", "Esophagus")),
    "stomach": Structure(ANATOMICAL, Concept("69695003", "Stomach")),
    "duodenum": Structure(ANATOMICAL, Concept("38848004", "Duodenum")),
    "left kidney": Structure(ANATOMICAL, _KIDNEY, LEFT),
    "tumour": Structure(ABNORMAL, Concept("108369006", "Neoplasm")),
}


def structure(name: str, value: int) -> Structure:
    """The coded structure of a class; one of another name gets a code of a private scheme, which says no more than its name.

    >>> structure("Left_Kidney", 13).kind.meaning, structure("rib 3", 40).kind.value
    ('Kidney', 'LABEL-40')
    """
    known = STRUCTURES.get(name.lower().replace("_", " "))
    return known or Structure(ANATOMICAL, Concept(f"LABEL-{value}", name[:64], PRIVATE_SCHEME))
