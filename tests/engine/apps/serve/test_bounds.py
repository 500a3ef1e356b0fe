"""What a server does where there is too much: of voxels in a small upload, of files on its disk."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, scan_bytes, started
from tests.engine.scans.dicom.series_files import write_series
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmentation, StageProgress


def test_a_scan_that_unpacks_to_more_than_is_taken(gated: GatedSegmenter, tmp_path: Path) -> None:
    """A NIfTI file, and a zip of DICOM: both are small as they are sent."""
    write_series(tmp_path / "series", np.zeros((9, 121, 117), "<i2") + np.arange(9, dtype="<i2")[:, None, None])
    bombs = [write_raw(tmp_path / "bomb.nii.gz", np.zeros((9, 121, 117), "<i2"), AXIAL).read_bytes()]
    bombs.append(Path(shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "series")).read_bytes())
    (tmp_path / "jobs").mkdir()
    steps = upload_steps(gated, RunOptions(), most_bytes=200_000)
    with started(steps, Limits(timeout_s=60), tmp_path / "jobs") as service, live(service) as client:
        for bomb in bombs:
            assert len(bomb) < 20_000
            answer = client.post(JOBS, params={"wait": "true"}, content=bomb)
            words = f"the upload: the scan takes {9 * 121 * 117 * 2} bytes unpacked, expected at most 200000; crop it"
            assert (answer.status_code, answer.json()["detail"]) == (422, words)


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file grows further: EFBIG where a full disk has ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_once_results_are_written(tmp_path: Path) -> None:
    class FillsTheDisk(GatedSegmenter):
        def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
            found = super().segment(ct, progress)
            filling.enter_context(full_disk(100))
            return found

    gated = FillsTheDisk()
    gated.open_gate()
    (tmp_path / "jobs").mkdir()
    steps = upload_steps(gated, RunOptions())
    with ExitStack() as filling, started(steps, Limits(timeout_s=60), tmp_path / "jobs") as service, live(service) as client:
        answer = client.post(JOBS, params={"wait": "true"}, content=scan_bytes(tmp_path))
    assert (answer.status_code, list((tmp_path / "jobs").iterdir())) == (507, [])
    assert answer.json()["detail"].startswith("the job is failed: labels.nii.gz: cannot be written: File too large")


def test_a_disk_that_is_full_while_a_scan_is_spooled(gated: GatedSegmenter, tmp_path: Path) -> None:
    scan = write_raw(tmp_path / "large.nii.gz", np.zeros((19, 121, 117), "<i2"), AXIAL).read_bytes()
    (tmp_path / "jobs").mkdir()
    steps = upload_steps(gated, RunOptions(max_memory_mb=1))
    with started(steps, Limits(timeout_s=60), tmp_path / "jobs") as service, live(service) as client, full_disk(100_000):
        answer = client.post(JOBS, params={"wait": "true"}, content=scan)
    assert (answer.status_code, answer.json()["detail"]) == (507, "the job is failed: [Errno 27] File too large")
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk(100_000), live(service) as client:
        answer = client.post(JOBS, content=bytes(180_000))
    assert (answer.status_code, answer.json()["detail"]) == (507, "the server has no room for the scan; try again later")
    assert "an upload could not be kept: File too large" in caplog.text
    assert list((tmp_path / "jobs").iterdir()) == []
    assert service.queue_length == 0
