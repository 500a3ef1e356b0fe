"""Which scans are taken and where their results go; what is refused before work begins; what counts as finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import case_name
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.jobs import Destination, Job, is_finished, make_folders, plan_jobs
from flare_trt.engine.scans.dicom.choice import SeriesChoice
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.engine.scans.nifti import write_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scans (empty files will do) and of other things."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in ("b_0000.nii.gz", "a.nii", "c_0001.nii.gz", "d_0000.NRRD", "e.mha", "notes.txt", ".hidden.nii.gz", "d.nii.gz.part"):
        (scans / name).touch()
    return scans


def test_a_folder_gives_its_scans_in_order(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = plan_jobs([folder], Destination(out, report=out, preview=tmp_path / "pictures"))
    assert jobs == tuple(
        Job(folder / scan, out / labels, out / f"{case}.json", tmp_path / "pictures" / f"{case}.png")
        for scan, labels, case in (
            ("a.nii", "a.nii", "a"),
            ("b_0000.nii.gz", "b.nii.gz", "b"),
            ("c_0001.nii.gz", "c_0001.nii.gz", "c_0001"),
            ("d_0000.NRRD", "d.nrrd", "d"),
            ("e.mha", "e.mha", "e"),
        )
    )
    assert not out.exists()
    make_folders(jobs)
    assert out.is_dir()
    assert (tmp_path / "pictures").is_dir()


@pytest.mark.parametrize(
    ("name", "case"),
    [("x_0000.nii.gz", "x"), ("x_0000.nii", "x"), ("x_00000.nii", "x_00000"), ("_0000.nii.gz", "_0000"), ("a.b_0000.nii", "a.b")],
)
def test_flare_names(name: str, case: str) -> None:
    assert case_name(Path("folder") / name) == case


def test_one_scan_to_a_file_or_a_folder(folder: Path, tmp_path: Path) -> None:
    scan = folder / "b_0000.nii.gz"
    (job,) = plan_jobs([scan], Destination(tmp_path / "x.nii", tmp_path / "x.json", tmp_path / "x.png"))
    assert job.outputs == (tmp_path / "x.nii", tmp_path / "x.json", tmp_path / "x.png")
    (job,) = plan_jobs([scan], Destination(tmp_path / "out", tmp_path / "reports"))
    assert job.outputs == (tmp_path / "out" / "b.nii.gz", tmp_path / "reports" / "b.json")


def test_files_and_folders_mix(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more.nii.gz").touch()
    jobs = plan_jobs([tmp_path / "more.nii.gz", folder], Destination(tmp_path / "out"))
    assert [job.labels.name for job in jobs] == ["more.nii.gz", "a.nii", "b.nii.gz", "c_0001.nii.gz", "d.nrrd", "e.mha"]


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    one, two = folder / "a.nii", folder / "b_0000.nii.gz"
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_0000.nii").touch()
    for inputs, destination, error, message in (
        ([folder / "none.nii"], Destination(tmp_path), InputError, "there is no such file"),
        ([tmp_path / "empty"], Destination(tmp_path / "out"), InputError, r"holds no \.nii"),
        ([one, two], Destination(tmp_path / "x.nii.gz"), OutputError, "expected a folder for the results of several scans"),
        ([folder], Destination(tmp_path / "x.nii.gz"), OutputError, "expected a folder"),
        ([one, two], Destination(tmp_path / "out", tmp_path / "x.json"), OutputError, "expected a folder"),
        ([one], Destination(folder / "notes.txt"), OutputError, r"expected a folder, or a name that ends in \.nii or"),
        ([one, tmp_path / "a_0000.nii"], Destination(tmp_path / "out"), OutputError, "both .* would be written here"),
        ([one, one], Destination(tmp_path / "out"), OutputError, "both .* would be written here"),
        ([one], Destination(one), OutputError, "would overwrite a scan"),
        ([one, two], Destination(folder), OutputError, "would overwrite a scan"),
        ([two, folder / "d.nii.gz.part"], Destination(folder), None, ""),
    ):
        if error is not None:
            with pytest.raises(error, match=message):
                plan_jobs(inputs, destination)
        else:
            assert plan_jobs(inputs, destination)


def test_the_case_in_a_name(folder: Path, tmp_path: Path) -> None:
    jobs = plan_jobs([folder], Destination(tmp_path / "{case}_labels.nii", tmp_path / "r" / "{case}.report.json"))
    assert [job.labels.name for job in jobs] == [
        "a_labels.nii",
        "b_labels.nii",
        "c_0001_labels.nii",
        "d_labels.nii",
        "e_labels.nii",
    ]
    assert [job.report and job.report.name for job in jobs] == [f"{case}.report.json" for case in ("a", "b", "c_0001", "d", "e")]


def test_dicom_is_one_scan_a_folder_or_zip(tmp_path: Path) -> None:
    series = tmp_path / "series" / "deep"
    series.mkdir(parents=True)
    (series / "slice").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "b.zip").touch()
    jobs = plan_jobs([tmp_path / "series", tmp_path / "b.zip"], Destination(tmp_path / "out", rtstruct=tmp_path / "rt"))
    assert [(job.labels.name, job.rtstruct and job.rtstruct.name) for job in jobs] == [
        ("series.nii.gz", "series.dcm"),
        ("b.nii.gz", "b.dcm"),
    ]


def test_what_is_refused_of_dicom(folder: Path, tmp_path: Path) -> None:
    one = folder / "a.nii"
    series = tmp_path / "series"
    series.mkdir()
    (series / "slice").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "b.zip").touch()
    for inputs, destination, uid, error, message in (
        ([one], Destination(tmp_path / "x.dcm"), None, OutputError, "DICOM output needs a DICOM scan"),
        ([one], Destination(tmp_path / "x.nii", rtstruct=tmp_path / "x.dcm"), None, OutputError, "DICOM output needs"),
        ([one], Destination(tmp_path / "x.nii"), "1.2", InputError, "leave out --series, --pick, --acquisition"),
        (
            [series, tmp_path / "b.zip"],
            Destination(tmp_path / "out"),
            "1.2",
            InputError,
            "--series chooses one series, got 2 scans",
        ),
        ([series], Destination(series / "x.nii.gz"), None, OutputError, "would overwrite a scan or lie inside it"),
        ([series], Destination(series / "slice.dcm"), None, OutputError, "would overwrite a scan or lie inside it"),
        ([tmp_path / "b.zip"], Destination(tmp_path / "x.nii.gz"), None, InputError, "not a zip that can be read"),
    ):
        with pytest.raises(error, match=message):
            plan_jobs(inputs, destination, SeriesChoice(uid))


def test_a_scan_is_not_overwritten_through_another_name(folder: Path, tmp_path: Path) -> None:
    (folder / "e.nii.gz").touch()
    (tmp_path / "alias").symlink_to(folder)
    with pytest.raises(OutputError, match="would overwrite a scan"):
        plan_jobs([folder / "e.nii.gz"], Destination(tmp_path / "alias"))


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    with pytest.raises(OutputError, match="the folder cannot be made"):
        make_folders([Job(folder / "a.nii", folder / "notes.txt" / "out" / "a.nii.gz")])


def test_what_is_finished(tmp_path: Path) -> None:
    scan = write_raw(tmp_path / "ct.nii.gz", np.arange(210, dtype="<i2").reshape(7, 6, 5), AXIAL)
    job = Job(scan, tmp_path / "labels.nii.gz")
    assert not is_finished(job)
    ct = read_ct(scan)
    write_labels(job.labels, Volume((ct.array % 3).astype(np.uint8), ct.grid))
    assert is_finished(job)
    assert not is_finished(replace(job, report=tmp_path / "none.json"))
    whole = job.labels.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b""):
        job.labels.write_bytes(damaged)
        assert not is_finished(job)
    other = read_ct(write_raw(tmp_path / "other.nii", np.arange(210, dtype="<i2").reshape(5, 6, 7), AXIAL))
    write_labels(job.labels, Volume((other.array % 3).astype(np.uint8), other.grid))
    assert not is_finished(job)


def test_names_in_capitals_are_scans_too(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for name in ("A.NII", "B.NII.GZ", "c.nii.gz", "._c.nii.gz"):
        (scans / name).touch()
    assert [job.labels for job in plan_jobs([scans], Destination(out))] == [out / "A.nii", out / "B.nii.gz", out / "c.nii.gz"]
    (job,) = plan_jobs([scans / "A.NII"], Destination(tmp_path / "OUT.NII.GZ"))
    assert job.labels == tmp_path / "OUT.NII.GZ"


@pytest.mark.parametrize("name", ["x.mhd", "x.nhdr", "X.NHDR", "x.img", "x.gz", "x.png", "x.csv"])
def test_no_folder_is_made_under_the_name_of_another_kind_of_file(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(
        OutputError, match=rf"{name}: expected a folder, or a name that ends in .nii or .nii.gz or .nrrd or .mha or .dcm"
    ):
        plan_jobs([folder / "a.nii"], Destination(tmp_path / name))
    (tmp_path / name).mkdir()
    (job,) = plan_jobs([folder / "a.nii"], Destination(tmp_path / name))
    assert job.labels == tmp_path / name / "a.nii"
