"""Names of results: the scan's own, its folder's, and its UIDs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.batch.jobs import Destination, plan_jobs
from flare_trt.engine.scans.dicom.choice import SeriesChoice


@pytest.fixture
def patients(tmp_path: Path) -> list[Path]:
    """Two patients whose series have the same folder name."""
    return [
        write_series(tmp_path / who / "CT", small_ct((5, 11, 9)), Look(series_uid=f"1.2.{number}", study_uid=f"1.9.{number}"))
        for number, who in enumerate(("anna", "bert"), 1)
    ]


def test_parent_folders_tell_scans_apart(patients: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="rename one of them"):
        plan_jobs(patients, Destination(tmp_path / "out" / "{case}.dcm"))
    jobs = plan_jobs(patients, Destination(tmp_path / "out" / "{parent}" / "{case}.dcm", report=tmp_path / "{parent}_{case}.html"))
    assert [job.labels.relative_to(tmp_path).as_posix() for job in jobs] == ["out/anna/CT.dcm", "out/bert/CT.dcm"]
    assert [job.report and job.report.name for job in jobs] == ["anna_CT.html", "bert_CT.html"]


def test_uids_as_names(patients: list[Path], tmp_path: Path) -> None:
    jobs = plan_jobs(patients, Destination(tmp_path / "{study}" / "{series}.dcm"))
    assert [job.labels.relative_to(tmp_path).as_posix() for job in jobs] == ["1.9.1/1.2.1.dcm", "1.9.2/1.2.2.dcm"]
    (job,) = plan_jobs(patients[:1], Destination(tmp_path / "{series}"))
    assert job.labels == tmp_path / "1.2.1" / "CT.nii.gz"


def test_a_scan_that_cannot_be_read_stops_no_other(patients: list[Path], tmp_path: Path) -> None:
    for file in patients[0].iterdir():
        file.write_bytes(file.read_bytes()[:200])
    jobs = plan_jobs(patients, Destination(tmp_path / "out" / "{series}.dcm"), SeriesChoice(rules=("thinnest",)))
    assert jobs[1].labels.name == "1.2.2.dcm"
    with pytest.raises(InputError, match="damaged or cut"):
        jobs[0].open()


def test_a_nifti_scan_has_no_uid(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    with pytest.raises(InputError, match="a NIfTI file has no study or series UID"):
        plan_jobs([tmp_path / "a.nii"], Destination(tmp_path / "{series}.nii"))
