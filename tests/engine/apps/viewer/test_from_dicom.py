"""A series and its DICOM-SEG become the files that the viewer draws: same voxels, same place, the segments' names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.results.dicom.label_maps import blobs, flare_spec
from tests.engine.scans.dicom.series_files import OBLIQUE, Look, small_ct, write_series

from flare_trt.engine.apps.viewer.from_dicom import as_nifti
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.dicom.segmentation import write_segmentation
from flare_trt.engine.results.viewer.scene import read_scene
from flare_trt.engine.scans import image_files
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_labels

SHAPE = (7, 31, 27)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_series(tmp_path / "ct", small_ct(SHAPE), Look(cosines=OBLIQUE))


def test_dicom_as_nifti(series: Path, tmp_path: Path) -> None:
    reader, labels = DicomReader(series), blobs(SHAPE)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, flare_spec())
    (tmp_path / "view").mkdir()
    files = as_nifti(series, tmp_path / "seg.dcm", tmp_path / "view")
    np.testing.assert_array_equal(read_ct(files.ct).array, small_ct(SHAPE))
    np.testing.assert_array_equal(read_labels(files.labels).array, labels)
    assert read_ct(files.ct).grid.same_place(reader.grid)
    scene = read_scene(files.ct, files.labels, None, files.names)
    assert [organ.name for organ in scene.organs] == ["liver", "right kidney", "right adrenal gland", "left kidney", "tumour"]


def test_segments_of_another_model_keep_their_names(series: Path, tmp_path: Path) -> None:
    reader, spec = DicomReader(series), flare_spec()
    ribs = (LabelSpec(3, "rib 3", "#102030"), LabelSpec(9, "rib 9", "#405060"))
    other = replace(spec, labels=ribs, fine=replace(spec.fine, channel_values=(0, 3, 9)))
    labels = np.where(blobs(SHAPE) == 1, 9, 0).astype(np.uint8)
    write_segmentation(tmp_path / "seg.dcm", Volume(labels, reader.grid), reader, other)
    (tmp_path / "view").mkdir()
    files = as_nifti(series, tmp_path / "seg.dcm", tmp_path / "view")
    assert [organ.name for organ in read_scene(files.ct, files.labels, None, files.names).organs] == ["rib 9"]


def test_nifti_is_taken_as_it_is_and_other_grids_are_refused(series: Path, tmp_path: Path) -> None:
    reader = DicomReader(series)
    write_segmentation(tmp_path / "seg.dcm", Volume(blobs(SHAPE), reader.grid), reader, flare_spec())
    write_labels(tmp_path / "a.nii.gz", Volume(blobs(SHAPE), reader.grid))
    files = as_nifti(tmp_path / "a.nii.gz", tmp_path / "a.nii.gz", tmp_path)
    assert (files.ct, files.labels) == (tmp_path / "a.nii.gz", tmp_path / "a.nii.gz")
    other = write_series(tmp_path / "other", small_ct((9, 31, 27)))
    with pytest.raises(InputError, match="labels lie on another grid"):
        as_nifti(other, tmp_path / "seg.dcm", tmp_path)


def test_other_image_formats_as_nifti(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    array = (np.arange(5 * 7 * 9) % 99).astype(np.uint8).reshape(5, 7, 9)
    volume = Volume(array, Grid(array.shape, (2.5, 0.8, 0.7), (1.0, 2.0, 3.0)))
    ct, labels = tmp_path / "ct.nrrd", tmp_path / "seg.mha"
    for path in (ct, labels):
        image_files.write_labels(path, volume)
    (tmp_path / "view").mkdir()
    files = as_nifti(ct, labels, tmp_path / "view")
    for path in (files.ct, files.labels):
        assert path.name.endswith(".nii.gz")
        np.testing.assert_array_equal(read_labels(path).array, array)
        assert read_labels(path).grid.same_place(volume.grid)
