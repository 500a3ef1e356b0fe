"""Items of sequences, references to frames, and names that a file's character set holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.organs import Concept
from flare_trt.engine.model.spec import LabelSpec, ModelSpec
from flare_trt.engine.results.dicom.items import code, image_reference, names_for
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.source import Identity

pytest.importorskip("pydicom")
ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def named(model: str, *labels: str) -> ModelSpec:
    return replace(
        fake_spec(), name=model, labels=tuple(LabelSpec(number, name, "#ff0000") for number, name in enumerate(labels, start=1))
    )


def test_a_code_is_the_three_attributes_of_a_coded_entry() -> None:
    item = code(Concept("10200004", "Liver"))
    assert [(element.tag, element.VR, element.value) for element in item] == [
        (0x00080100, "SH", "10200004"),
        (0x00080102, "SH", "SCT"),
        (0x00080104, "LO", "Liver"),
    ]  # PS3.3, 8.8 Basic Coded Entry


@pytest.mark.parametrize(("multi_frame", "frame"), [(True, 1), (True, 12), (False, None)])
def test_frames_count_from_one_and_a_single_image_has_none(multi_frame: bool, frame: int | None) -> None:
    plane: Any = SimpleNamespace(sop_class=ENHANCED, sop_uid="1.2.3", multi_frame=multi_frame, frame=(frame or 1) - 1)
    item = image_reference(cast(Plane, plane))
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (ENHANCED, "1.2.3")
    assert item.get("ReferencedFrameNumber") == frame


def test_what_ends_a_value_or_a_line_is_taken_out_of_names() -> None:
    spec, warnings = names_for(
        Identity(None, in_utf8=True), named("a\\b", "left\\right", "two\nlines", "tab\there\x1b", "Größe 肝臓")
    )
    assert spec.name == "a/b"
    assert [label.name for label in spec.labels] == ["left/right", "two lines", "tab here ", "Größe 肝臓"]
    assert warnings == ()


def test_beside_text_of_another_set_names_are_ascii_and_the_warning_names_them() -> None:
    spec, (warning,) = names_for(Identity(None, in_utf8=False), named("肝", "riñón", "liver", "肝臓", "aorta"))
    assert (spec.name, [label.name for label in spec.labels]) == ("model", ["rinon", "liver", "label 3", "aorta"])
    assert warning.endswith("names are written in ASCII beside it (riñón as rinon, 肝臓 as label 3)")
    _, (plain,) = names_for(Identity(None, in_utf8=False), named("m", "liver", "spleen", "aorta", "pancreas"))
    assert plain.endswith("its bytes are kept as they stand")
