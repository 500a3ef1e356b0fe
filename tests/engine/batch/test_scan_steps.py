"""How a scan is read under a budget, and what its report tells."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_spec
from tests.engine.scans.dicom.series_files import Look, small_ct, write_series
from tests.engine.scans.nifti_files import AXIAL, Forms, affine, write_raw

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.scan_steps import PartlyWrittenError, ct_reader, read_scan, scan_steps
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.scans.disk_array import DiskArray
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.segmenter import Segmentation, StageProgress

SHAPE = (50, 100, 100)  # 1 MB of int16


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    hu = np.random.default_rng(2).normal(0, 300, SHAPE).astype("<i2")
    return write_raw(tmp_path / "ct.nii.gz", hu, AXIAL)


@pytest.mark.parametrize(("max_memory_mb", "spooled"), [(None, False), (4, False), (3, True), (1, True)])
def test_a_scan_over_a_quarter_of_the_budget_stays_on_disk(scan: Path, max_memory_mb: int | None, spooled: bool) -> None:
    ct = ct_reader(RunOptions(max_memory_mb=max_memory_mb))(open_scan(scan))
    assert isinstance(ct.array, DiskArray) == spooled
    np.testing.assert_array_equal(ct.array[:, :, :], ct_reader(RunOptions())(open_scan(scan)).array)


def test_what_looks_odd_is_told_with_the_scan(tmp_path: Path) -> None:
    moved = affine(np.diag([-1, -1, 1]), (0.7, 0.8, 2.5), (90.5, 150.25, -300))
    values = np.random.default_rng(2).integers(0, 200, SHAPE).astype("<i2")
    path = write_raw(tmp_path / "ct.nii", values, Forms(moved, 1, AXIAL.sform, 1))
    scan = read_scan(partial(open_scan, path), ct_reader(RunOptions()))
    (apart,), (eight_bit,) = scan.warnings, scan.doubts
    assert "lie up to 30 mm apart" in apart
    assert "8-bit" in eight_bit


class TwoPasses:
    """A segmenter of two stages that labels nothing, three tiles each, the fine pass after a while."""

    spec = fake_spec(coarse=True)

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        assert progress is not None
        for stage in ("coarse", "fine"):
            time.sleep(0.05)
            for done in range(3):
                progress(stage, done + 1, 3)
        report = RunReport(*("0", "fake", "exact", "cpu", "asked for", "none", "fake", "fp32"), {"network": 0.5}, {}, None, ())
        return Segmentation(Volume(np.zeros(ct.grid.shape_zyx, np.uint8), ct.grid), report)


def test_the_memory_curve_tells_the_coarse_pass_from_the_fine_one(scan: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    steps = scan_steps(TwoPasses(), ct_reader(RunOptions()), lambda job: lambda *progress: told.append(progress))
    job = Job(scan, tmp_path / "labels.nii.gz")
    read = steps.read(job)
    report = steps.write(job, read, steps.segment(job, read))
    _, coarse, fine, *_ = report.memory.phases
    assert [phase.name for phase in report.memory.phases] == ["read", "coarse", "fine", "write", "measure"]
    assert coarse.stop_s == fine.start_s
    assert min(phase.stop_s - phase.start_s for phase in (coarse, fine)) >= 0.049
    assert len(told) == 6
    assert (report.licence, report.tumours) == ("Apache-2.0", ())


class NeverRuns(TwoPasses):
    """A segmenter that must not be reached."""

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        raise AssertionError("the network ran")


def first_steps(job: Job) -> None:
    steps = scan_steps(NeverRuns(), ct_reader(RunOptions()), lambda job: None)
    steps.segment(job, steps.read(job))


@pytest.mark.parametrize("output", ["labels", "report", "preview", "rtstruct"])
def test_a_place_that_takes_no_file_is_found_before_the_network_runs(tmp_path: Path, output: str) -> None:
    scan = write_series(tmp_path / "ct", small_ct())
    (tmp_path / "taken.dcm").mkdir()
    job = replace(Job(scan, tmp_path / "labels.dcm"), **{output: tmp_path / "taken.dcm"})
    with pytest.raises(OutputError, match=r"taken\.dcm: a folder has this name"):
        first_steps(job)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "taken.dcm"]


@pytest.mark.parametrize("names", [("seg.dcm", None), ("labels.nii.gz", "rt.dcm")])
def test_headers_that_make_no_dicom_output_are_found_before_the_network_runs(tmp_path: Path, names: tuple[str, str | None]) -> None:
    scan = write_series(tmp_path / "ct", small_ct(), Look(study_uid=""))
    labels, contours = names
    with pytest.raises(InputError, match="has no StudyInstanceUID"):
        first_steps(Job(scan, tmp_path / labels, rtstruct=None if contours is None else tmp_path / contours))


@pytest.mark.parametrize("lost", ["labels.nii.gz", "rt.dcm", "preview.png", "report.html"])
def test_an_output_that_fails_loses_no_other(tmp_path: Path, lost: str) -> None:
    """The place is lost while the network runs."""
    scan, out = write_series(tmp_path / "ct", small_ct((9, 31, 27))), tmp_path / "out"
    job = Job(scan, out / "labels.nii.gz", out / "report.html", out / "preview.png", out / "rt.dcm")
    out.mkdir()
    steps = scan_steps(TwoPasses(), ct_reader(RunOptions()), lambda job: lambda *progress: None)
    read = steps.read(job)
    found = steps.segment(job, read)
    (out / lost).mkdir()
    with pytest.raises(OutputError, match=rf"{lost}: a folder has this name.*; written all the same: ") as error:
        steps.write(job, read, found)
    kept = {path.name for path in job.outputs} - {lost}
    assert {path.name for path in out.iterdir() if path.is_file()} == kept
    assert all(name in str(error.value).split("written all the same")[1] for name in kept)
    assert isinstance(error.value, PartlyWrittenError)
    kept_error = pickle.loads(pickle.dumps(error.value))  # noqa: S301  # as Ray hands it on
    assert any(warning.startswith(f"not written: {out / lost}") for warning in kept_error.report.warnings)
    assert len(kept_error.report.organs) == len(TwoPasses.spec.labels)
    assert lost == "report.html" or f"not written: {out / lost}" in (out / "report.html").read_text()
