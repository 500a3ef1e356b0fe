"""The same run makes the same files, byte for byte, whenever and wherever; anything else makes other UIDs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.results.dicom.test_measurement_report import SHAPE, write_all
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.stable import Making, stable_uid
from flare_trt.engine.scans.dicom.reader import DicomReader

PINNED = "2.25.219955228312713409249485585978504062490"


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_series(tmp_path / "ct", small_ct(SHAPE))


def uids(path: Path) -> tuple[str, str]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return dataset.SeriesInstanceUID, dataset.SOPInstanceUID


@pytest.mark.parametrize("seg_type", ["binary", "labelmap"])
def test_a_repeat_is_the_same_object(series: Path, tmp_path: Path, seg_type: str) -> None:
    making = Making("mode=exact", seg_type)  # type: ignore[arg-type]  # one of two words
    for name in ("first", "second"):
        write_all(tmp_path / name, DicomReader(series), making)
    code = f"""
from pathlib import Path
from tests.engine.results.dicom.test_measurement_report import write_all
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.scans.dicom.reader import DicomReader
write_all(Path({str(tmp_path / "third")!r}), DicomReader({str(series)!r}), Making("mode=exact", {seg_type!r}))
"""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[4], env=environment, check=True)
    for path in sorted((tmp_path / "first").iterdir()):
        content = path.read_bytes()
        assert {name: (tmp_path / name / path.name).read_bytes() == content for name in ("second", "third")} == {
            "second": True,
            "third": True,
        }, path.name


def test_dates_are_the_source_s(series: Path, tmp_path: Path) -> None:
    write_all(tmp_path / "out", DicomReader(series), Making())
    for path in (tmp_path / "out").iterdir():
        text = json.dumps(pydicom.dcmread(path, stop_before_pixels=True).to_json_dict())
        assert "20170619" in text
        assert "202" not in {value[:3] for value in text.split('"') if value.isdigit() and len(value) == 8}, path.name


def test_what_changes_changes_uids(series: Path, tmp_path: Path) -> None:
    reader, spec, labels = DicomReader(series), flare_spec(), blobs(SHAPE)
    other = DicomReader(write_series(tmp_path / "other", small_ct(SHAPE), Look()))
    moved = labels.copy()
    moved[3, 5, 5] ^= 1
    again = replace(spec, provenance=replace(spec.provenance, source="trained again"))
    made = {}
    for name, (source, array, model, making) in {
        "plain": (reader, labels, spec, Making("mode=exact")),
        "options": (reader, labels, spec, Making("mode=fast")),
        "model": (reader, labels, again, Making("mode=exact")),
        "source": (other, labels, spec, Making("mode=exact")),
        "labels": (reader, moved, spec, Making("mode=exact")),
    }.items():
        write_segmentation(tmp_path / f"{name}.dcm", Volume(array, source.grid), source, model, making)
        made[name] = uids(tmp_path / f"{name}.dcm")
    assert len({instance for _, instance in made.values()}) == 5
    assert made["labels"][0] == made["plain"][0]
    assert len({series_uid for series_uid, _ in made.values()}) == 4


def test_uids_are_pinned() -> None:
    """A change of the rule would let archives keep repeats beside what they have."""
    assert stable_uid("series", "1.2.3") == PINNED
    assert len(PINNED) <= 64
