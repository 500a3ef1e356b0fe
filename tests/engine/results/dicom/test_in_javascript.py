"""DICOM-SEG as dcmjs reads it, which OHIF draws with: every voxel on its own slice, for an old and a current version."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.enhanced_files import Parts, write_enhanced
from tests.engine.scans.dicom.series_files import AXIAL, CORONAL, OBLIQUE, SAGITTAL, Look, small_ct, write_series

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.dicom.stable import Making
from flare_trt.engine.scans.dicom.reader import DicomReader

ROOT = Path(__file__).resolve().parents[4]
SHAPE = (7, 31, 26)


@pytest.fixture(params=["dcmjs-0.29", "dcmjs-0.52"])
def package(request: pytest.FixtureRequest) -> Path:
    folder = ROOT / "build" / "npm" / "node_modules" / request.param
    if shutil.which("node") is None or not folder.is_dir():
        pytest.skip(f"{request.param} is not in build/npm, or there is no node; 'make npm' fetches it")
    return folder


def by_dcmjs(package: Path, seg: Path, reader: DicomReader, folder: Path) -> NDArray[np.uint16]:
    return run_node("dcmjs_labels.mjs", (package, seg), reader, folder).view("<u2").reshape(reader.grid.shape_zyx)


def run_node(script: str, words: tuple[Path, Path], reader: DicomReader, folder: Path) -> NDArray[np.uint8]:
    """The labels that a script writes of a package of npm and a DICOM-SEG."""
    images = [
        {
            "sop": plane.sop_uid,
            "frame": plane.frame + 1 if plane.multi_frame else None,
            "series": reader.series.uid,
            "frameOfReference": plane.frame_of_reference,
            "rows": plane.shape_yx[0],
            "columns": plane.shape_yx[1],
            "cosines": plane.cosines,
            "position": plane.position_mm,
        }
        for plane in reader.planes
    ]
    (folder / "images.json").write_text(json.dumps(images))
    files = [folder / "images.json", folder / "labels.raw"]
    done = subprocess.run(["node", ROOT / "tests/npm" / script, *words, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "labels.raw", np.uint8)


@pytest.mark.parametrize("cosines", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def test_a_series_of_slices(package: Path, tmp_path: Path, cosines: tuple[float, ...]) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=cosines)))
    labels = blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    np.testing.assert_array_equal(by_dcmjs(package, tmp_path / "seg.dcm", reader, tmp_path), labels)


@pytest.mark.parametrize("parts", [Parts(), Parts(files=2)])
def test_an_enhanced_ct(package: Path, tmp_path: Path, parts: Parts) -> None:
    reader = DicomReader(write_enhanced(tmp_path / "ct", small_ct(SHAPE), parts))
    labels = blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    np.testing.assert_array_equal(by_dcmjs(package, tmp_path / "seg.dcm", reader, tmp_path), labels)


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, OBLIQUE])
def test_a_labelmap_by_position(package: Path, tmp_path: Path, cosines: tuple[float, ...]) -> None:
    reader = DicomReader(write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=cosines)))
    labels = blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec(), Making(seg_type="labelmap"))
    found = run_node("dcmjs_labelmap.mjs", (package, tmp_path / "seg.dcm"), reader, tmp_path)
    np.testing.assert_array_equal(found.reshape(SHAPE), labels)
