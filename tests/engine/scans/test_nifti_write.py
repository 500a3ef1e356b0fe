"""Labels go out under the source's own header, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
from nibabel.openers import ImageOpener
from tests.engine.scans.nifti_files import AXIAL, Forms, affine, random_rotation, write_raw

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import NiftiReader, write_ct, write_labels

KEPT = ("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")


def labels_of(volume: Volume) -> Volume:
    array = (np.arange(volume.array.size).reshape(volume.array.shape) % 15).astype(np.uint8)
    return Volume(array, volume.grid)


def raw_header(path: Path) -> nib.Nifti1Header:
    """The fields as they stand in the file (an image's own header hides slope and offset)."""
    with ImageOpener(path) as file:
        return nib.Nifti1Header.from_fileobj(file, check=False)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_source_header_is_kept(tmp_path: Path, order: str, ending: str) -> None:
    random = np.random.default_rng(3)
    sform, qform = (affine(random_rotation(random), (0.7, 0.8, 2.5), random.uniform(-300, 300, 3)) for _ in range(2))

    def scaled(header):
        header["scl_slope"], header["scl_inter"], header["cal_max"], header["vox_offset"] = 2, -1024, 300, 352
        header["dim"][0], header["dim"][4] = 4, 1
        header.set_xyzt_units("micron", "sec")

    scan = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(f"{order}i2")
    source = write_raw(tmp_path / "ct.nii", scan, Forms(sform, 2, qform, 1), scaled)
    labels = labels_of(read_ct(source))
    write_labels(tmp_path / f"out{ending}", labels, NiftiReader(source).header)
    before, after = raw_header(source), raw_header(tmp_path / f"out{ending}")
    for name in (*KEPT, "srow_x", "srow_y", "srow_z", "xyzt_units"):
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert [float(after[name]) for name in ("datatype", "bitpix", "scl_slope", "scl_inter", "cal_max")] == [2, 8, 1, 0, 0]
    np.testing.assert_array_equal(after["dim"], [3, 3, 4, 5, 1, 1, 1, 1])
    image, scan_image = sitk.ReadImage(str(tmp_path / f"out{ending}")), sitk.ReadImage(str(source))
    assert image.GetDirection() == scan_image.GetDirection()
    assert (image.GetOrigin(), image.GetSpacing()) == (scan_image.GetOrigin(), scan_image.GetSpacing())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels.array)
    assert read_labels(tmp_path / f"out{ending}").grid == labels.grid


def test_without_a_source_the_grid_makes_the_header(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    for number in range(20):
        matrix = affine(random_rotation(random), random.uniform(0.5, 5, 3), random.uniform(-300, 300, 3))
        ct = read_ct(write_raw(tmp_path / "ct.nii", np.arange(60, dtype="<i2").reshape(5, 4, 3), Forms(sform=matrix, sform_code=1)))
        path = tmp_path / f"{number}.nii.gz"
        write_labels(path, labels_of(ct))
        assert read_labels(path).grid.same_place(ct.grid, tolerance_mm=1e-3)
        header = nib.load(path).header
        np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-3)
        assert header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_ct_comes_back_as_it_was(tmp_path: Path, dtype: str, ending: str) -> None:
    array = (np.arange(60).reshape(5, 4, 3) * 7 - 200).astype(dtype) + (0.25 if dtype == "float32" else 0)
    ct = Volume(array.astype(dtype), Grid((5, 4, 3), (2.5, 0.8, 0.7), (-10.0, 20.0, -300.5)))
    write_ct(tmp_path / f"ct{ending}", ct)
    read = read_ct(tmp_path / f"ct{ending}")
    assert read.array.dtype == dtype
    np.testing.assert_array_equal(read.array, ct.array)
    assert read.grid.same_place(ct.grid, tolerance_mm=1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"ct{ending}"))), ct.array)


def test_equal_labels_make_equal_bytes(tmp_path: Path) -> None:
    source = write_raw(tmp_path / "ct.nii", np.arange(60, dtype="<i2").reshape(5, 4, 3), AXIAL)
    labels = labels_of(read_ct(source))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, labels, NiftiReader(source).header)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.fixture
def labels(tmp_path: Path) -> Volume:
    return labels_of(read_ct(write_raw(tmp_path / "ct.nii", np.arange(60, dtype="<i2").reshape(5, 4, 3), AXIAL)))


@pytest.mark.parametrize("name", ["labels.nrrd", "labels.gz", "labels", "labels.nii.zip"])
def test_other_names_are_refused(tmp_path: Path, labels: Volume, name: str) -> None:
    with pytest.raises(OutputError, match=rf"{name}: expected a name that ends in \.nii or \.nii\.gz"):
        write_labels(tmp_path / name, labels)


def test_labels_of_another_grid_or_type_are_refused(tmp_path: Path, labels: Volume) -> None:
    other = write_raw(tmp_path / "other.nii", np.arange(60, dtype="<i2").reshape(3, 4, 5), AXIAL)
    with pytest.raises(OutputError, match="not the source's"):
        write_labels(tmp_path / "out.nii", labels, NiftiReader(other).header)
    with pytest.raises(OutputError, match="got labels of dtype int16"):
        write_labels(tmp_path / "out.nii", read_ct(tmp_path / "ct.nii"))


def test_a_missing_folder_and_a_folder_of_that_name(tmp_path: Path, labels: Volume) -> None:
    with pytest.raises(OutputError, match="is not there; make it first"):
        write_labels(tmp_path / "none" / "out.nii.gz", labels)
    (tmp_path / "out.nii.gz").mkdir()
    with pytest.raises(OutputError, match="a folder has this name"):
        write_labels(tmp_path / "out.nii.gz", labels)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, labels: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.nii.gz"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"out\.nii\.gz: cannot be written: No space left on device"):
        write_labels(target, labels)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii", "out.nii.gz"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, labels: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_labels(tmp_path / "out.nii.gz", labels)
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii"]


def test_permissions_follow_the_umask(tmp_path: Path, labels: Volume) -> None:
    old = os.umask(0o027)
    try:
        write_labels(tmp_path / "out.nii.gz", labels)
    finally:
        os.umask(old)
    assert (tmp_path / "out.nii.gz").stat().st_mode & 0o777 == 0o640


def test_nothing_but_the_place_goes_on_from_the_source(tmp_path: Path) -> None:
    """Free text may name a patient, and a statistic's intent is none of a label map's."""
    raw = nib.load(write_raw(tmp_path / "ct.nii", np.arange(60, dtype="<i2").reshape(3, 4, 5), AXIAL))
    image = nib.Nifti1Image(np.asarray(raw.dataobj), raw.affine)
    text = {"aux_file": b"NAME=TEST", "db_name": b"ID-12345", "intent_name": b"TEST", "data_type": b"TEST", "intent_code": 3}
    for field, value in {**text, "intent_p1": 7, "toffset": 5, "slice_code": 1, "dim_info": 27, "regular": b"r"}.items():
        image.header[field] = value
    image.header["pixdim"][4:] = 9
    nib.save(image, tmp_path / "named.nii")
    reader = NiftiReader(tmp_path / "named.nii")
    write_labels(tmp_path / "labels.nii", labels_of(read_ct(tmp_path / "named.nii")), reader.header)
    header = raw_header(tmp_path / "labels.nii")
    place = {"dim", "pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units", "datatype", "bitpix"}
    place |= {f"quatern_{axis}" for axis in "bcd"} | {f"qoffset_{axis}" for axis in "xyz"}
    written = place | {"descrip", "vox_offset", "magic", "scl_slope", "scl_inter"}
    assert {field: header[field].item() for field in set(header) - written if header[field].item() not in (0, b"")} == {
        "sizeof_hdr": 348
    }
    assert header["pixdim"][4:].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["LABELS.NII", "Labels.Nii.Gz"])
def test_names_in_capitals(tmp_path: Path, labels: Volume, name: str) -> None:
    write_labels(tmp_path / name, labels)
    assert (tmp_path / name).read_bytes()[:2] == (b"\x1f\x8b" if name.endswith("Gz") else b"\x5c\x01")
    np.testing.assert_array_equal(read_labels(tmp_path / name).array, labels.array)
