"""Files from strangers: each fault is an InputError that names the file and the fault, before memory is taken."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.scans.nifti_files import AXIAL, Edit, Forms, write_raw

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import NiftiReader
from flare_trt.engine.scans.scan_reader import whole_ct

SCAN = np.arange(7 * 6 * 5, dtype="<i2").reshape(7, 6, 5)


def field(name: str, value: object) -> Edit:
    def edit(header):
        header[name] = value

    return edit


def item(name: str, index: int, value: float) -> Edit:
    def edit(header):
        header[name][index] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (item("dim", 0, 0), r"got 0 dimensions"),
        (item("dim", 0, 9), r"got 9 dimensions"),
        (item("dim", 0, 2), r"got 2 dimensions of sizes \[5, 6\]"),
        (item("dim", 2, -6), r"got sizes \[5, -6, 7\]"),
        (item("dim", 3, 0), r"got sizes \[5, 6, 0\]"),
        (field("dim", [4, 5, 6, 7, 2, 1, 1, 1]), r"got 4 dimensions of sizes \[5, 6, 7, 2\].*expected one 3-D scan"),
        (field("dim", [5, 5, 6, 7, 1, 3, 1, 1]), r"expected one 3-D scan"),
        (field("dim", [3, 32767, 32767, 32767, 1, 1, 1, 1]), r"claims 32767 x 32767 x 32767 voxels, more than the limit of 16 GiB"),
        (
            field("dim", [3, 500, 600, 700, 1, 1, 1, 1]),
            r"claims 500 x 600 x 700 voxels \(420000352 bytes\), the file holds at most",
        ),
        (field("datatype", 128), r"got RGB voxels"),
        (field("datatype", 32), r"got complex voxels"),
        (field("datatype", 2304), r"got RGBA voxels"),
        (field("datatype", 77), r"got unknown voxels \(datatype 77\)"),
        (field("bitpix", 8), r"got bitpix 8 with datatype 4, expected 16"),
        (field("vox_offset", 0), r"got vox_offset 0"),
        (field("vox_offset", np.nan), r"got vox_offset nan"),
        (field("vox_offset", 352.5), r"got vox_offset 352.5"),
        (field("vox_offset", 1e30), r"the file holds at most"),
        (field("magic", b"abc"), r"not a NIfTI-1 file"),
        (field("magic", b"ni1"), r"\.hdr/\.img pair"),
        (item("pixdim", 1, 0), r"got spacing .* expected three positive numbers"),
        (item("pixdim", 2, -0.8), r"got spacing"),
        (item("pixdim", 3, np.nan), r"got spacing"),
        (item("srow_x", 3, np.inf), r"no finite, non-zero axes"),
        (item("srow_x", 0, np.nan), r"the axes of the sform have no length or are no numbers"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_wrong_headers(tmp_path: Path, edit: Edit, message: str, ending: str) -> None:
    path = write_raw(tmp_path / f"ct{ending}", SCAN, AXIAL, edit)
    tracemalloc.start()
    with pytest.raises(InputError, match=rf"ct{ending}: .*{message}"):
        read_ct(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 << 20


def test_a_shrunk_gzip_that_claims_much(tmp_path: Path) -> None:
    """Within the limit and beyond what deflate could hold: refused before the scan is allocated."""
    path = write_raw(tmp_path / "ct.nii.gz", SCAN, AXIAL, field("dim", [3, 1000, 1000, 1000, 1, 1, 1, 1]))
    with pytest.raises(InputError, match=r"claims 1000 x 1000 x 1000 voxels"):
        NiftiReader(path)


@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_voxels_that_are_no_numbers_count_as_stored_0_as_itk_reads_them(tmp_path: Path, slope: float, dtype: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    array = SCAN.astype(dtype)
    array[6, 5, :3] = np.nan, np.inf, -np.inf

    def scaled(header: object) -> None:
        header["scl_slope"], header["scl_inter"] = slope, 3 * (slope - 1)  # type: ignore[index]  # a nibabel header

    reader = NiftiReader(write_raw(tmp_path / "ct.nii", array, AXIAL, scaled))
    assert reader.warnings == ()
    found = whole_ct(reader)
    np.testing.assert_array_equal(found.array, sitk.GetArrayFromImage(sitk.ReadImage(str(reader.path))).astype(np.float32))
    assert found.array[6, 5, :3].tolist() == [3 * (slope - 1)] * 3
    assert reader.warnings == ("3 voxels are NaN or infinite: they count as stored 0, as ITK reads them",)
    with pytest.raises(InputError, match=r"ct\.nii: got NaN or infinity, expected labels"):
        read_labels(write_raw(tmp_path / "ct.nii", array, AXIAL))


def test_numbers_beyond_float32_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unrepresentable"):
        read_ct(write_raw(tmp_path / "ct.nii", SCAN.astype("<f8") * 1e300, AXIAL))


def test_a_constant_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every voxel is 3"):
        read_ct(write_raw(tmp_path / "ct.nii", np.full_like(SCAN, 3), AXIAL))


@pytest.mark.parametrize("length", [0, 1, 100, 347, 351, 353, 352 + 7 * 6 * 5 * 2 - 1])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_files_that_end_early(tmp_path: Path, length: int, ending: str) -> None:
    whole = write_raw(tmp_path / "whole.nii", SCAN, AXIAL).read_bytes()[:length]
    path = tmp_path / f"ct{ending}"
    path.write_bytes(gzip.compress(whole) if ending == ".nii.gz" else whole)
    with pytest.raises(InputError, match=rf"ct{ending}: .*(is empty|ends|holds at most)"):
        read_ct(path)


def test_truncations_of_a_gzip(tmp_path: Path) -> None:
    whole = write_raw(tmp_path / "whole.nii.gz", SCAN, AXIAL).read_bytes()
    path = tmp_path / "ct.nii.gz"
    for length in (*range(0, len(whole) - 12, 5), *range(len(whole) - 12, len(whole))):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"ct\.nii\.gz: "):
            read_ct(path)


@pytest.mark.parametrize("shape", [SCAN.shape, (40, 256, 256)])
def test_a_flipped_bit_in_a_gzip_is_seen_by_its_checksum(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, shape).astype("<i2")
    data = bytearray(write_raw(tmp_path / "ct.nii.gz", array, AXIAL).read_bytes())
    data[-8] ^= 1  # first byte of the CRC: all voxels decompress
    (tmp_path / "ct.nii.gz").write_bytes(data)
    with pytest.raises(InputError, match=r"ct\.nii\.gz: the gzip stream is damaged \(CRC check failed.*\); copy it again"):
        read_ct(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("voxels_at", [352, 8192])  # with 8192 no reading buffer runs past the last voxel by itself
def test_a_gzip_that_ends_with_the_last_voxel_lacks_its_checksum(tmp_path: Path, voxels_at: int) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (40, 128, 128)).astype("<i2")
    whole = write_raw(tmp_path / "whole.nii", array, AXIAL, field("vox_offset", voxels_at)).read_bytes()
    whole = whole[:352] + bytes(voxels_at - 352) + array.tobytes()
    packer = zlib.compressobj(wbits=31)
    (tmp_path / "ct.nii.gz").write_bytes(packer.compress(whole) + packer.flush(zlib.Z_SYNC_FLUSH))
    with pytest.raises(InputError, match=r"ct\.nii\.gz: the file ends early"):
        read_ct(tmp_path / "ct.nii.gz")


def test_what_is_no_nifti(tmp_path: Path) -> None:
    (tmp_path / "text.nii").write_text("no scan " * 100)
    (tmp_path / "two.nii").write_bytes(struct.pack("<i", 540) + b"n+2\0\r\n\032\n" + bytes(600))
    for name, message in (
        ("text.nii", "not a NIfTI-1 file"),
        ("two.nii", "NIfTI-2"),
        ("none.nii", "No such file"),
        (".", "directory"),
    ):
        with pytest.raises(InputError, match=message):
            read_ct(tmp_path / name)


def test_the_name_does_not_matter_to_reading(tmp_path: Path) -> None:
    gzipped = write_raw(tmp_path / "a.nii.gz", SCAN, AXIAL).rename(tmp_path / "a.nii")
    plain = write_raw(tmp_path / "b.nii", SCAN, AXIAL).rename(tmp_path / "b.nii.gz")
    for path in (gzipped, plain):
        np.testing.assert_array_equal(read_ct(path).array, SCAN)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 347), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_any_damage_to_the_header_is_an_input_error_or_harmless(
    tmp_path: Path, damage: list[tuple[int, int]], shrink: bool
) -> None:
    block = bytearray(write_raw(tmp_path / "whole.nii", SCAN, Forms(AXIAL.sform, 1, AXIAL.sform, 1)).read_bytes())
    for place, value in damage:
        block[place] = value
    path = tmp_path / "ct.nii"
    path.write_bytes(gzip.compress(block, 1) if shrink else block)
    try:
        read_ct(path)
    except InputError as error:
        if "ct.nii: " not in str(error):
            raise
