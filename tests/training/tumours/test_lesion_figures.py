from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.training.tumours import lesion_figures
from flare_trt.training.tumours.lesion_figures import measure_lesions
from tests.engine.tiny_bundle import write_tiny_bundle


def test_a_scan_is_measured_as_it_is_and_with_each_planting(tmp_path: Path, monkeypatch) -> None:
    """The tiny network bands intensities and knows no tumour: what is planted is counted, and nothing is found."""
    monkeypatch.setattr(lesion_figures, "PLANTINGS", 2)
    hu = np.full((41, 60, 62), -300, np.int16)
    hu[6:36, 6:54, 6:56] = 40  # the band that is called liver
    scan = tmp_path / "case" / "ct.nii.gz"
    scan.parent.mkdir()
    write_ct(scan, Volume(hu, Grid(hu.shape, (3.0, 2.0, 2.0))))
    figures = measure_lesions(write_tiny_bundle(tmp_path / "tiny.zip"), [scan], (3.0, 2.0, 2.0), 1)
    assert [(figure.scan, figure.planting) for figure in figures] == [("case", 0), ("case", 1), ("case", 2)]
    assert figures[0].score.lesions == 0
    assert sum(figure.score.lesions for figure in figures[1:]) >= 1
    assert all(figure.score.found == 0 for figure in figures)
