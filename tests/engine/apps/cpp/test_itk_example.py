"""The example program with ITK: built by CMake, it gives the labels of the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.engine.apps.cpp.hosts import ROOT, build, run
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.shared_data import shared_file

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.kernels import Box

pytestmark = pytest.mark.nightly

TURN = (math.cos(0.2), math.sin(0.2))
OBLIQUE = ((TURN[0], -TURN[1], 0.0), (TURN[1], TURN[0], 0.0), (0.0, 0.0, -1.0))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT / "docs" / "examples" / "cpp", tmp_path_factory.mktemp("example")) / "segment_nifti"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "model")


def require_equal_labels(example: Path, bundle: Path, ct: Volume, folder: Path) -> None:
    """The program's label file equals that of `flare-trt segment`, in voxels and in place."""
    scan, labels, reference = (folder / f"{name}.nii.gz" for name in ("ct", "from_itk", "from_command"))
    write_ct(scan, ct)
    done = run(example, bundle, scan, labels)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["model"] == "tiny"
    assert main(["segment", str(scan), "-o", str(reference), "--model", str(bundle)]) == 0
    expected, found = read_labels(reference), read_labels(labels)
    assert len(np.unique(expected.array)) > 2
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.grid.same_place(expected.grid)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_phantom(example: Path, bundle: Path, tmp_path: Path, dtype: type) -> None:
    ct, _ = make_phantom(5, (31, 37, 43), (12.0, 10.0, 9.0))
    turned = Grid(ct.grid.shape_zyx, (2.5, 1.75, 1.5), (-20.5, 30.0, 7.0), OBLIQUE)
    require_equal_labels(example, bundle, Volume(ct.array.astype(dtype) + dtype(0.25), turned), tmp_path)


def test_a_crop_of_a_real_ct(example: Path, bundle: Path, tmp_path: Path) -> None:
    ct = read_ct(shared_file("ts_example", "ct.nii.gz"))
    box = Box((11, 20, 30), (54, 79, 95))
    cropped = Volume(np.ascontiguousarray(ct.array[box.slices]), ct.grid.cropped(box))
    require_equal_labels(example, bundle, cropped, tmp_path)


def test_errors_reach_the_user(example: Path, bundle: Path, tmp_path: Path) -> None:
    done = run(example, tmp_path / "no-model", "ct.nii.gz", "labels.nii.gz")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("segment_nifti: bundle: ")
    write_ct(tmp_path / "flat.nii.gz", Volume(np.full((5, 6, 7), 3, np.int16), Grid((5, 6, 7), (1.0, 1.0, 1.0))))
    done = run(example, bundle, tmp_path / "flat.nii.gz", tmp_path / "labels.nii.gz")
    assert "every voxel is 3, so there is nothing to segment" in done.stderr
    assert not (tmp_path / "labels.nii.gz").exists()
