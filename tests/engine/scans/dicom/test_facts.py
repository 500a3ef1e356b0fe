"""What a study's series are said to be, by their headers, and why one cannot be segmented."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scans.dicom.series_files import SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.scans.dicom.facts import SeriesFacts, phase_of, study_facts

HU = small_ct((5, 11, 9))
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
HALFWAY = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def named(uid: str, number: int, **values: Any) -> Look:
    """A series of this UID with other header values than a plain one."""

    def change(dataset: Any, z: int) -> None:
        dataset.SeriesNumber = number
        for name, value in values.items():
            setattr(dataset, name, value)

    cosines = {"CORONAL": CORONAL, "SAGITTAL": SAGITTAL, "OBLIQUE": HALFWAY}.get(values.pop("plane", ""), Look().cosines)
    spacing_mm = values.pop("spacing_mm", (2.5, 0.8, 0.7))
    return Look(spacing_mm=spacing_mm, cosines=cosines, series_uid=uid, study_uid="1.2.9", change=change)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    soft = {"SeriesDescription": "Abd 2.5 Portal Venous", "ConvolutionKernel": ["Br40d", "3"], "ContrastBolusAgent": "Iomeron"}
    write_series(tmp_path / "study" / "a", HU, named("1.2.1", 2, **soft))
    mpr = {"SeriesDescription": "cor MPR", "ImageType": ["DERIVED", "SECONDARY", "MPR"], "plane": "CORONAL"}
    write_series(tmp_path / "study" / "b", HU, named("1.2.2", 3, **mpr))
    write_series(tmp_path / "study" / "c", HU, named("1.2.3", 4, Modality="MR"))
    write_series(tmp_path / "study" / "d", HU[:1], named("1.2.4", 5, plane="OBLIQUE"))
    return tmp_path / "study"


def by_uid(study: Path) -> dict[str, SeriesFacts]:
    return {one.uid: one for one in study_facts(study)}


@pytest.mark.parametrize("zipped", [False, True])
def test_every_series_is_described(study: Path, zipped: bool) -> None:
    facts = by_uid(Path(shutil.make_archive(str(study), "zip", study)) if zipped else study)
    assert sorted(facts) == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
    soft, mpr = facts["1.2.1"], facts["1.2.2"]
    assert (soft.number, soft.description, soft.kernel, soft.contrast) == ("2", "Abd 2.5 Portal Venous", "Br40d/3", True)
    assert (soft.phase, soft.orientation, soft.original, soft.slices) == ("portal-venous", "axial", True, 5)
    assert soft.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert (soft.study_uid, soft.shape_zyx, soft.problem) == ("1.2.9", HU.shape, None)
    assert (mpr.orientation, mpr.original, mpr.phase, mpr.contrast, mpr.kernel) == ("coronal", False, None, False, None)
    assert mpr.problem is None


def test_what_cannot_be_segmented_says_why(study: Path) -> None:
    facts = by_uid(study)
    assert facts["1.2.3"].modality == "MR"
    assert facts["1.2.3"].problem is not None
    assert "of modality MR" in facts["1.2.3"].problem
    assert facts["1.2.3"].slices == 5
    assert facts["1.2.4"].problem is not None
    assert "got one slice" in facts["1.2.4"].problem
    assert facts["1.2.4"].orientation == "oblique"


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("ABD PV 5.0", "portal-venous"),
        ("Abdomen venös 3.0", "portal-venous"),
        ("70s thin", "portal-venous"),
        ("LATE ARTERIAL 1.25", "arterial"),
        ("Leber nativ", "none"),
        ("ABD WITHOUT CONTRAST", "none"),
        ("DELAYED 5MIN", "delayed"),
        ("arterial + portal venous", None),
        ("Thorax Abdomen 5.0", None),
        ("INVENTORY", None),
        ("PLATE", None),
    ],
)
def test_phases_by_their_words(text: str, phase: str | None) -> None:
    assert phase_of(text) == phase
