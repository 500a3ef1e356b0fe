"""What a batch's table keeps of a scan whose outputs were not all written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.engine.apps.serve.live import GatedSegmenter
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.teller import Teller
from flare_trt.engine.batch.jobs import Job
from flare_trt.engine.batch.overlap import run_in_turn
from flare_trt.engine.batch.scan_steps import ct_reader, scan_steps
from flare_trt.engine.model.options import RunOptions


def test_a_lost_output_keeps_the_scan_s_numbers(tmp_path: Path) -> None:
    """The preview's place is lost once the network has begun."""
    hu = np.random.default_rng(2).normal(0, 300, (9, 21, 17)).astype("<i2")
    jobs = []
    for name in ("a", "b"):
        scan = write_raw(tmp_path / f"{name}.nii.gz", hu, AXIAL)
        jobs.append(Job(scan, tmp_path / f"{name}-labels.nii.gz", preview=tmp_path / f"{name}.png"))
    gated = GatedSegmenter()
    gated.open_gate()

    def lost(job: Job) -> None:
        if job is jobs[0] and job.preview is not None:
            job.preview.mkdir(exist_ok=True)

    teller = Teller.of(jobs, Console())
    run_in_turn(jobs, scan_steps(gated, ct_reader(RunOptions()), lambda job: lambda *progress: lost(job)), teller.tell)
    assert teller.sum_up() == 1
    one, other = teller.cases
    assert (one.case, one.error, other.error) == ("a", "", "")
    assert one.organs == other.organs
    assert any(organ.voxels for organ in one.organs)
    assert [warning for warning in one.warnings if warning.startswith("not written")] != []
    assert not any(warning.startswith("not written") for warning in other.warnings)
