"""Reading equals SimpleITK's reading, voxel by voxel and grid by grid (nnU-Net reads scans through SimpleITK)."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.linalg
import SimpleITK as sitk  # noqa: N813 (its usual name)
from tests.engine.scans.nifti_files import AXIAL, Edit, Forms, affine, random_rotation, write_raw
from tests.shared_data import shared_file

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import open_image, read_ct
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.engine.scans.scan_reader import spooled_ct

SPACING_XYZ = (0.7, 0.8, 2.5)
OFFSET = (90.5, -120.25, 300.0)


def scan(dtype: str = "<i2", shape: tuple[int, int, int] = (5, 4, 3)) -> np.ndarray:
    """Values that differ at each voxel, within 8 bits where the type has no more."""
    values = np.arange(np.prod(shape)).reshape(shape) * 2
    return (
        values.astype(dtype) if np.dtype(dtype).itemsize == 1 else (values * 3 - 150 * (np.dtype(dtype).kind != "u")).astype(dtype)
    )


def assert_equals_itk(volume: Volume, path: Path) -> None:
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image).astype(np.float32))
    assert volume.grid.spacing_mm == pytest.approx(image.GetSpacing()[::-1], rel=1e-7)
    assert volume.grid.origin_mm == pytest.approx(image.GetOrigin(), abs=1e-4)
    np.testing.assert_allclose(np.ravel(volume.grid.direction), image.GetDirection(), atol=1e-6)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_voxel_types(tmp_path: Path, dtype: str, ending: str) -> None:
    path = write_raw(tmp_path / f"ct{ending}", scan(dtype), AXIAL)
    volume = read_ct(path)
    assert volume.array.dtype == (np.float32 if np.dtype(dtype).kind == "f" else np.int16)
    assert_equals_itk(volume, path)


@pytest.mark.parametrize(
    ("slope", "inter", "dtype", "out"),
    [
        (1, -1024, "<i2", "int16"),
        (1, -1024, "<u2", "int16"),
        (2, 1, ">i2", "int16"),
        (-1, 0, "<i2", "int16"),
        (0, 0, "<i2", "int16"),
        (0, 5, "<i2", "int16"),  # ITK takes a slope of 0 for 1 and still adds the intercept
        (np.nan, np.nan, "<i2", "int16"),
        (1000, 0, "<i2", "float32"),  # leaves int16
        (0.1, -3.7, "<i2", "float32"),
        (1 / 3, 100, "u1", "float32"),
        (0.1, 0.3, "<f4", "float32"),
        (0.1, 0.3, ">f8", "float32"),
        (3, 7, "<i4", "int16"),
    ],
)
def test_slope_and_intercept(tmp_path: Path, slope: float, inter: float, dtype: str, out: str) -> None:
    def rescaled(header):
        header["scl_slope"], header["scl_inter"] = slope, inter

    path = write_raw(tmp_path / "ct.nii.gz", scan(dtype), AXIAL, rescaled)
    volume = read_ct(path)
    assert volume.array.dtype == out
    assert_equals_itk(volume, path)


@pytest.mark.parametrize("beyond", [32768, -32769])
def test_whole_numbers_beyond_int16_become_float32_without_loss(tmp_path: Path, beyond: int) -> None:
    array = scan("<i4", (9, 4, 3))
    array[7] = beyond
    path = write_raw(tmp_path / "ct.nii", array, AXIAL)
    slabs = list(NiftiReader(path).slabs(depth=2))
    assert [slab.dtype.name for _, slab in slabs] == ["int16", "int16", "int16", "float32", "int16"]
    assert_equals_itk(read_ct(path), path)


def test_integers_that_float32_cannot_hold_are_rounded_before_they_are_scaled(tmp_path: Path) -> None:
    array = (scan("<i4") + 2**24 + 1).astype("<i4")
    path = write_raw(tmp_path / "ct.nii", array, AXIAL, lambda header: header.__setitem__("scl_inter", -(2**24)))
    assert_equals_itk(read_ct(path), path)


ORIENTATIONS = [
    np.eye(3)[list(order)] * signs for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("form", ["sform", "qform", "both"])
def test_every_orientation(tmp_path: Path, form: str) -> None:
    assert len(ORIENTATIONS) == 48
    seen = set()
    for number, rotation in enumerate(ORIENTATIONS):
        matrix = affine(rotation, SPACING_XYZ, OFFSET)
        sform = {"sform": matrix, "sform_code": 2} if form != "qform" else {}
        qform = {"qform": matrix, "qform_code": 1} if form != "sform" else {}
        path = write_raw(tmp_path / f"{number}.nii", scan(), Forms(**sform, **qform))
        volume = read_ct(path)
        assert_equals_itk(volume, path)
        seen.add(volume.grid.orientation)
    assert len(seen) == 48


@pytest.mark.parametrize("form", ["sform", "qform"])
def test_oblique_affines(tmp_path: Path, form: str) -> None:
    random = np.random.default_rng(7)
    for number in range(30):
        matrix = affine(random_rotation(random), random.uniform(0.4, 5, 3), random.uniform(-400, 400, 3))
        forms = Forms(sform=matrix, sform_code=1) if form == "sform" else Forms(qform=matrix, qform_code=2)
        path = write_raw(tmp_path / f"{number}.nii", scan(), forms)
        assert_equals_itk(read_ct(path), path)


@pytest.mark.parametrize("sform_code", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("qform_code", [0, 1, 2])
def test_which_affine_wins_where_they_differ(tmp_path: Path, sform_code: int, qform_code: int) -> None:
    random = np.random.default_rng(sform_code * 10 + qform_code)
    for number in range(40):
        spacing = np.array([0.7, 1.1, 2.5])
        rotation, offset = random_rotation(random), random.uniform(-400, 400, 3)
        if number % 3 == 2:  # oblique flips are left out: there ITK's answer hangs on rounding in its SVD
            rotation = np.diag(random.choice([-1, 1], 3))
        near = 10.0 ** -random.integers(2, 8)
        other = [
            affine(rotation, spacing, offset + near * random.normal(size=3)),
            affine(random_rotation(random), spacing, offset),
            affine(rotation * random.choice([-1, 1], 3), spacing, offset),
        ][number % 3]
        forms = Forms(other, sform_code, affine(rotation, spacing, offset), qform_code)
        path = write_raw(tmp_path / f"{number}.nii", scan(), forms)
        assert_equals_itk(read_ct(path), path)


def test_a_sheared_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    sheared = affine(np.eye(3), SPACING_XYZ, OFFSET)
    sheared[0, 1] = 0.3
    path = write_raw(tmp_path / "ct.nii", scan(), Forms(sheared, 1, affine(np.eye(3), SPACING_XYZ, (1, 2, 3)), 1))
    volume = read_ct(path)
    assert volume.grid.origin_mm == (-1, -2, 3)
    assert_equals_itk(volume, path)


@pytest.mark.parametrize("singular", [False, True])
def test_a_sheared_or_singular_sform_alone_is_refused(tmp_path: Path, singular: bool) -> None:
    matrix = affine(np.eye(3), SPACING_XYZ, OFFSET)
    matrix[0, 1] = 0.3
    if singular:
        matrix[:, 1] = 0
    path = write_raw(tmp_path / "ct.nii", scan(), Forms(sform=matrix, sform_code=1))
    got = "have no length or are no numbers" if singular else r"are not at right angles \(off by 0\.\d+, allowed 0\.001\)"
    with pytest.raises(InputError, match=rf"ct\.nii.*the axes of the sform {got} and there is no qform"):
        read_ct(path)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))


@pytest.mark.parametrize("unit", ["meter", "mm", "micron", "unknown"])
def test_units_scale_spacing_and_origin(tmp_path: Path, unit: str) -> None:
    forms = Forms(qform=affine(np.eye(3), SPACING_XYZ, OFFSET), qform_code=1)
    path = write_raw(tmp_path / "ct.nii", scan(), forms, lambda header: header.set_xyzt_units(unit))
    assert_equals_itk(read_ct(path), path)


def _qfac_unset(header) -> None:
    header["pixdim"][0] = 0


def _long_quaternion(header) -> None:
    header["quatern_b"], header["quatern_c"] = 0.8, 0.7


def _other_pixdim(header) -> None:
    header["pixdim"][1:4] = 1


@pytest.mark.parametrize("edit", [None, _qfac_unset, _long_quaternion, _other_pixdim])
def test_odd_headers(tmp_path: Path, edit: Edit | None) -> None:
    forms = Forms(qform=affine(np.eye(3), SPACING_XYZ, OFFSET), qform_code=1)
    for number, chosen in enumerate([forms, AXIAL, Forms()]):
        path = write_raw(tmp_path / f"{number}.nii", scan(), chosen, edit)
        assert_equals_itk(read_ct(path), path)


def test_a_sform_whose_scale_is_not_pixdim_is_warned_about(tmp_path: Path) -> None:
    assert NiftiReader(write_raw(tmp_path / "a.nii", scan(), AXIAL)).header.warnings == ()
    (warning,) = NiftiReader(write_raw(tmp_path / "b.nii", scan(), AXIAL, _other_pixdim)).header.warnings
    assert "0.7 x 0.8 x 2.5" in warning
    assert "1 x 1 x 1" in warning


def test_affines_that_disagree_are_warned_about(tmp_path: Path) -> None:
    near, far = (affine(np.eye(3), SPACING_XYZ, np.add(OFFSET, (0, shift, 0))) for shift in (0.05, 5))
    qform = affine(np.eye(3), SPACING_XYZ, OFFSET)
    assert NiftiReader(write_raw(tmp_path / "a.nii", scan(), Forms(near, 1, qform, 1))).header.warnings == ()
    for code, used in ((1, "sform"), (2, "qform")):
        (warning,) = NiftiReader(write_raw(tmp_path / "b.nii", scan(), Forms(far, code, qform, 1))).header.warnings
        assert warning == f"the qform and the sform lie up to 5 mm apart: the {used} is used, as ITK does"


def test_a_trailing_axis_of_one_and_a_single_slice(tmp_path: Path) -> None:
    def four_axes(header):
        header["dim"][0], header["dim"][4] = 4, 1

    path = write_raw(tmp_path / "ct.nii", scan(), AXIAL, four_axes)
    assert_equals_itk(read_ct(path), path)
    path = write_raw(tmp_path / "flat.nii", scan(shape=(1, 5, 7)), AXIAL)
    assert_equals_itk(read_ct(path), path)


def test_voxels_start_where_vox_offset_says(tmp_path: Path) -> None:
    array = scan()
    path = write_raw(tmp_path / "ct.nii", array, AXIAL, lambda header: header.__setitem__("vox_offset", 416))
    path.write_bytes(path.read_bytes()[:352] + b"\7" * 64 + array.tobytes())
    assert_equals_itk(read_ct(path), path)


@pytest.mark.parametrize("depth", [None, 1, 2, 3, 100])
def test_slabs_are_the_scan_in_order(tmp_path: Path, depth: int | None) -> None:
    array = scan(">i2", (7, 4, 3))
    reader = NiftiReader(write_raw(tmp_path / "ct.nii.gz", array, AXIAL))
    for _ in range(2):  # a reader can be read again
        slabs = list(reader.slabs(depth))
        assert [z for z, _ in slabs] == list(range(0, 7, depth or 7))
        np.testing.assert_array_equal(np.concatenate([slab for _, slab in slabs]), array)
        assert all(slab.flags["C_CONTIGUOUS"] and slab.dtype == reader.dtype == np.int16 for _, slab in slabs)


@pytest.mark.parametrize(("dtype", "spooled"), [("u1", "int16"), (">i2", "int16"), ("<i4", "float32"), ("<f8", "float32")])
def test_a_spooled_scan_holds_the_same_numbers(tmp_path: Path, dtype: str, spooled: str) -> None:
    array = scan(dtype, (7, 4, 3))
    if dtype == "<i4":
        array[3] = 40000
    path = write_raw(tmp_path / "ct.nii.gz", array, AXIAL)
    volume, whole = spooled_ct(open_image(path)), read_ct(path)
    assert (volume.array.dtype, volume.grid, volume.value_range) == (spooled, whole.grid, whole.value_range)
    np.testing.assert_array_equal(volume.array[:, :, :], whole.array)


@pytest.mark.parametrize("name", ["ts_example", "crlm_1004"])
def test_real_scans(name: str) -> None:
    path = shared_file(name, "ct.nii.gz")
    volume = read_ct(path)
    assert volume.array.dtype == np.int16
    assert_equals_itk(volume, path)


@pytest.mark.parametrize("shear", [3e-4, 8e-4])
def test_a_sform_nearly_at_right_angles_is_read_as_the_nearest_rotation(tmp_path: Path, shear: float) -> None:
    """As a resampled oblique scan leaves it. nibabel reads it as it is, SimpleITK refuses it."""
    rotation = random_rotation(np.random.default_rng(4))
    sheared = rotation @ (np.eye(3) + shear * np.eye(3, k=1))
    matrix = affine(sheared, SPACING_XYZ, OFFSET)
    path = write_raw(tmp_path / "ct.nii", scan(), Forms(sform=matrix, sform_code=2))
    reader = NiftiReader(path)
    nearest = scipy.linalg.polar(np.diag([-1, -1, 1]) @ sheared)[0]
    np.testing.assert_allclose(reader.grid.direction, nearest, atol=1e-5)
    corner = np.array(scan().shape[::-1])
    ours = np.array(reader.grid.direction) @ (corner * SPACING_XYZ) + reader.grid.origin_mm
    nibabels = np.diag([-1, -1, 1, 1]) @ nib.load(path).affine @ [*corner, 1]
    assert np.abs(ours - nibabels[:3]).max() <= shear * np.linalg.norm(corner * SPACING_XYZ)
    assert len(reader.warnings) == 1
    assert reader.warnings[0].startswith(
        f"the axes of the sform are off from right angles by {shear:.2g}: the nearest right-angled"
    )
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))


def test_a_sform_that_itk_takes_for_right_angled_is_read_without_a_word(tmp_path: Path) -> None:
    sheared = np.eye(3) + 5e-5 * np.eye(3, k=1)
    path = write_raw(tmp_path / "ct.nii", scan(), Forms(sform=affine(sheared, SPACING_XYZ, OFFSET), sform_code=2))
    assert_equals_itk(read_ct(path), path)
    assert NiftiReader(path).warnings == ()
