"""What a class is, in SNOMED CT, for DICOM-SEG and RTSTRUCT."""

from __future__ import annotations

from flare_trt.engine.base.organs import ANATOMICAL, Coded, Concept, known

#: Scheme for classes that the table of organs lacks; "99" marks a private one (PS3.16, section 8.2).
PRIVATE_SCHEME = "99FLARETRT"


def coded(name: str, value: int) -> Coded:
    """The codes of a class; one of an unknown name gets a code of a private scheme, which says no more than its name.

    >>> coded("Kidney_Left", 13).kind.meaning, coded("rib 3", 40).kind.value
    ('Kidney', 'LABEL-40')
    """
    found = known(name)
    return found.coded if found else Coded(ANATOMICAL, Concept(f"LABEL-{value}", name[:64], PRIVATE_SCHEME))
