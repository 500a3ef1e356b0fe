"""One character set a file: patient, study and labels are what they were, in the SEG and in the RTSTRUCT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from tests.engine.results.dicom.label_maps import flare_spec
from tests.engine.scans.dicom.series_files import IDENTITY, Look, small_ct, write_series

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec, ModelSpec
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.structure_set import write_structure_set
from flare_trt.engine.scans.dicom.reader import DicomReader

SHAPE = (3, 9, 8)
WRITERS = [write_segmentation, write_structure_set]
Writer = Callable[[Path, Volume, DicomReader, ModelSpec], tuple[str, ...]]
NAMES = ("Größe^Ä", "肝臓", "печень")


def series(
    folder: Path, charset: str | list[str] | None, name: bytes, change: Callable[[Any], None] = lambda header: None
) -> DicomReader:
    """A series whose headers hold these bytes as the patient's name, whatever they mean."""

    def with_charset(header: Any, z: int) -> None:
        if charset is not None:
            header.SpecificCharacterSet = charset
        header.PatientName = "#" * (len(name) + len(name) % 2)
        change(header)

    with pydicom.config.disable_value_validation():
        write_series(folder, small_ct(SHAPE), Look(change=with_charset))
    for file in folder.iterdir():
        placeholder = b"#" * (len(name) + len(name) % 2)
        data = file.read_bytes()
        assert data.count(placeholder) == 1
        file.write_bytes(data.replace(placeholder, name + b" " * (len(name) % 2)))
    return DicomReader(folder)


def model() -> ModelSpec:
    labels = tuple(LabelSpec(value, name, "#102030") for value, name in enumerate(NAMES, 1))
    spec = flare_spec()
    return replace(spec, name="modèle", labels=labels, fine=replace(spec.fine, channel_values=(0, 1, 2, 3)))


def written(write: Writer, path: Path, reader: DicomReader) -> tuple[Any, tuple[str, ...]]:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 2:5, 3:6] = 2
    warnings = write(path, Volume(labels, reader.grid), reader, model())
    return pydicom.dcmread(path), warnings


def label_names(dataset: Any) -> list[str]:
    if "SegmentSequence" in dataset:
        return [item.SegmentLabel for item in dataset.SegmentSequence]
    return [item.ROIName for item in dataset.StructureSetROISequence]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("charset", "stored", "name"),
    [
        (None, b"Smith^John", "Smith^John"),
        ("", b"Smith^John", "Smith^John"),
        ("ISO_IR 6", b"Smith^John", "Smith^John"),
        ("ISO 2022 IR 6", b"Smith^John", "Smith^John"),
        ("ISO_IR 100", "Müller^Jürg".encode("latin-1"), "Müller^Jürg"),
        ("ISO 2022 IR 100", "Müller^Jürg".encode("latin-1"), "Müller^Jürg"),
        ("ISO_IR_100", "Müller^Jürg".encode("latin-1"), "Müller^Jürg"),
        ("ISO-IR 100", "Müller^Jürg".encode("latin-1"), "Müller^Jürg"),
        ("ISO_IR 144", "Люкс".encode("iso8859-5"), "Люкс"),
        ("ISO_IR 192", "王^小東".encode(), "王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        # 春 is 3D 55 in JIS X 0208: a byte that looks like the "=" between the groups of a name
        (["", "ISO 2022 IR 87"], b"Yamada^Haruko=" + "山田^春子".encode("iso2022_jp"), "Yamada^Haruko=山田^春子"),
        (
            ["ISO 2022 IR 13", "ISO 2022 IR 87"],
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (["", "ISO 2022 IR 149"], b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
    ],
)
def test_text_that_decodes_leaves_in_utf8(
    tmp_path: Path, write: Writer, charset: str | list[str] | None, stored: bytes, name: str
) -> None:
    """The names are those of PS3.5, annexes H and I, and of everyday headers."""
    reader = series(tmp_path / "ct", charset, stored)
    dataset, warnings = written(write, tmp_path / "out.dcm", reader)
    assert (dataset.SpecificCharacterSet, str(dataset.PatientName), warnings) == ("ISO_IR 192", name, ())
    assert label_names(dataset) == list(NAMES)
    assert dataset.ManufacturerModelName == "modèle"


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("charset", [None, "ISO_IR 6", "ISO_IR 192", "NO SUCH SET", ["", "ISO 2022 IR 87"]])
def test_bytes_that_do_not_fit_are_kept(tmp_path: Path, write: Writer, charset: str | list[str] | None) -> None:
    stored = "Größe^Ä".encode("latin-1") + b"!"
    reader = series(tmp_path / "ct", charset, stored)
    dataset, (warning,) = written(write, tmp_path / "out.dcm", reader)
    assert dataset.get_item("PatientName").value == stored
    assert dataset.get("SpecificCharacterSet") == charset
    assert label_names(dataset) == ["label 1", "label 2", "label 3"]
    assert dataset.ManufacturerModelName == "modele"
    assert "does not fit the series' character set" in warning
    assert "肝臓 as label 2" in warning


@pytest.mark.parametrize("write", WRITERS)
def test_patient_trial_and_procedure_go_along(tmp_path: Path, write: Writer) -> None:
    more = {
        "EthnicGroup": "group",
        "PatientComments": "Bemerkung über",
        "ClinicalTrialSponsorName": "sponsor",
        "ClinicalTrialProtocolID": "trial 7",
        "ClinicalTrialSubjectID": "subject",
        "ClinicalTrialTimePointID": "week 3",
        "PatientWeight": "71.50",
    }

    def change(header: Any) -> None:
        for name, value in more.items():
            setattr(header, name, value)
        procedure = pydicom.Dataset()
        procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "CT1", "99X", "Bauch nüchtern"
        header.ProcedureCodeSequence = [procedure]

    dataset, _ = written(write, tmp_path / "out.dcm", series(tmp_path / "ct", "ISO_IR 100", b"Name^Vorname", change))
    assert {name: str(dataset[name].value) for name in more} == more
    assert dataset.ProcedureCodeSequence[0].CodeMeaning == "Bauch nüchtern"
    assert str(dataset.AccessionNumber) == IDENTITY["AccessionNumber"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_patient_s_attribute_of_an_unknown_kind_is_named(tmp_path: Path, write: Writer) -> None:
    """The value representation of the sex is none that the standard knows."""
    series(tmp_path / "ct", None, b"Name", lambda header: setattr(header, "PatientSex", "O"))
    for file in (tmp_path / "ct").iterdir():
        data = file.read_bytes()
        assert data.count(b"\x10\x00\x40\x00CS") == 1
        file.write_bytes(data.replace(b"\x10\x00\x40\x00CS", b"\x10\x00\x40\x00ZZ"))
    with pytest.raises(OutputError, match="a value of the source's patient or study cannot be written"):
        written(write, tmp_path / "out.dcm", DicomReader(tmp_path / "ct"))
    assert not (tmp_path / "out.dcm").exists()
