"""What a server does where there is too much: of voxels in a small upload, of files on its disk."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.engine.apps.serve.live import JOBS, GatedSegmenter, live, started
from tests.engine.scans.dicom.series_files import write_series
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import upload_steps


def test_a_scan_that_unpacks_to_more_than_is_taken(gated: GatedSegmenter, tmp_path: Path) -> None:
    """A NIfTI file, and a zip of DICOM: both are small as they are sent."""
    write_series(tmp_path / "series", np.zeros((9, 121, 117), "<i2") + np.arange(9, dtype="<i2")[:, None, None])
    bombs = [write_raw(tmp_path / "bomb.nii.gz", np.zeros((9, 121, 117), "<i2"), AXIAL).read_bytes()]
    bombs.append(Path(shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "series")).read_bytes())
    (tmp_path / "jobs").mkdir()
    steps = upload_steps(gated, None, most_bytes=200_000)
    with started(steps, Limits(timeout_s=60), tmp_path / "jobs") as service, live(service) as client:
        for bomb in bombs:
            assert len(bomb) < 20_000
            answer = client.post(JOBS, params={"wait": "true"}, content=bomb)
            words = f"the upload: the scan takes {9 * 121 * 117 * 2} bytes unpacked, expected at most 200000; crop it"
            assert (answer.status_code, answer.json()["detail"]) == (422, words)


def test_a_full_disk_is_said_and_leaves_nothing(service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # no file grows further: EFBIG where a full disk has ENOSPC
    try:
        with live(service) as client:
            answer = client.post(JOBS, content=bytes(180_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (answer.status_code, answer.json()["detail"]) == (507, "the server has no room for the scan; try again later")
    assert "an upload could not be kept: File too large" in caplog.text
    assert list((tmp_path / "jobs").iterdir()) == []
    assert service.queue_length == 0
