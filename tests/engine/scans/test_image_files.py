"""One door for all image files: the ending decides who reads and who writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.scans.nifti_files import AXIAL, write_raw

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import ENDINGS, ending_of, open_image, read_labels, write_labels
from flare_trt.engine.scans.nifti import NiftiReader

LABELS = Volume((np.arange(5 * 7 * 9) % 200).astype(np.uint8).reshape(5, 7, 9), Grid((5, 7, 9), (2.5, 0.8, 0.7), (1, 2, 3)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_labels_of_every_format_come_back(ending: str, tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    path = tmp_path / f"LABELS{ending}"
    write_labels(path, LABELS)
    assert ending_of(path) == ending_of(Path(path.name.upper())) == ending
    found = read_labels(path)
    np.testing.assert_array_equal(found.array, LABELS.array)
    assert found.grid.same_place(LABELS.grid)
    assert isinstance(open_image(path), NiftiReader) == (".nii" in ending)


def test_labels_of_other_values_and_other_names_are_refused(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(np.full((3, 4, 5), 65536, np.int32)), str(tmp_path / "x.nrrd"))
    with pytest.raises(InputError, match=r"x\.nrrd: got the value 65536, expected labels"):
        read_labels(tmp_path / "x.nrrd")
    with pytest.raises(OutputError, match=r"expected a name that ends in \.nii\.gz or \.nii or \.nrrd or \.mha"):
        write_labels(tmp_path / "x.png", LABELS)


def test_a_nifti_scan_hands_its_codes_on_to_nifti_labels_alone(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    source = open_image(write_raw(tmp_path / "ct.nii", np.arange(210, dtype="<i2").reshape(5, 6, 7), AXIAL))
    labels = Volume(np.ones((5, 6, 7), np.uint8), source.grid)
    for name in ("out.nii.gz", "out.mha"):
        write_labels(tmp_path / name, labels, source)
        assert open_image(tmp_path / name).grid.same_place(source.grid)
    assert int(NiftiReader(tmp_path / "out.nii.gz").header.raw["sform_code"]) == 1


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<f4", ">f8"])
def test_labels_of_any_type_come_as_uint8(tmp_path: Path, dtype: str) -> None:
    array = (LABELS.array % 15).astype(dtype)
    for last in (0, 99 if np.dtype(dtype).itemsize == 1 else 300):
        array[-1, -1, -1] = last  # in the last slab
        volume = read_labels(write_raw(tmp_path / "labels.nii.gz", array, AXIAL))
        assert volume.array.dtype == (np.uint16 if last == 300 else np.uint8)
        np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize(("dtype", "value"), [("<i2", -1), ("<i4", 65536), ("<f4", 2.5)])
def test_labels_that_are_none_are_refused(tmp_path: Path, dtype: str, value: float) -> None:
    array = (LABELS.array % 100).astype(dtype)
    array[3, 2, 1] = value
    with pytest.raises(InputError, match=f"labels.nii: got the value {value:g}, expected labels"):
        read_labels(write_raw(tmp_path / "labels.nii", array, AXIAL))
