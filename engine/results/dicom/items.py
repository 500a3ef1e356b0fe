"""Items of sequences, and names in the character set that a file has, for all kinds of DICOM output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flare_trt.engine.base.organs import Concept
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.scans.dicom.library import library
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.source import Identity
from flare_trt.engine.scans.dicom.text import in_ascii


def item(**values: Any) -> Any:
    """A dataset with these attributes."""
    made = library("pydicom").Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def code(concept: Concept) -> Any:
    """A coded concept as an item of a code sequence."""
    return item(CodeValue=concept.value, CodingSchemeDesignator=concept.scheme, CodeMeaning=concept.meaning)


def image_reference(plane: Plane) -> Any:
    """The image, or the frame of it, that a plane is."""
    reference = item(ReferencedSOPClassUID=plane.sop_class, ReferencedSOPInstanceUID=plane.sop_uid)
    if plane.multi_frame:
        reference.ReferencedFrameNumber = plane.frame + 1
    return reference


def names_for(identity: Identity, spec: ModelSpec) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with names that can stand beside the source's text in one file, and warnings on what that changed.

    In UTF-8 that is any name; beside text that its own character set does not hold, ASCII.
    """
    spec = replace(
        spec,
        name=_in_one_value(spec.name),
        labels=tuple(replace(label, name=_in_one_value(label.name)) for label in spec.labels),
    )
    if identity.in_utf8:
        return spec, ()
    labels = tuple(replace(label, name=in_ascii(label.name, f"label {label.value}")) for label in spec.labels)
    changed = [f"{old.name} as {new.name}" for old, new in zip(spec.labels, labels, strict=True) if old != new]
    words = "the patient's or the study's text does not fit the series' character set: its bytes are kept as they stand"
    if changed:
        words += f", and names are written in ASCII beside it ({', '.join(changed)})"
    return replace(spec, name=in_ascii(spec.name, "model"), labels=labels), (words,)


def _in_one_value(name: str) -> str:
    """A name without what ends a value or a line in DICOM (PS3.5, 6.2)."""
    return "".join("/" if letter == "\\" else letter if letter.isprintable() else " " for letter in name)
