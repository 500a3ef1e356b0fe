"""The header as bytes, without a file around it: what is taken from one of nibabel's, and what nibabel takes from one of ours."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Header
from tests.engine.scans.nifti_files import AXIAL, Edit, header_for

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.nifti_header import NiftiHeader, parse_header, volume_header

#: Columns are the axes x, y, z in LPS: turned by the 3-4-5 triangle in the plane.
GRID = Grid((7, 5, 3), (2.5, 0.75, 0.5), (-31.5, 12.25, -400.0), ((0.6, -0.8, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 1.0)))
TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")


def parsed(dtype: str = "<i2", edit: Edit | None = None) -> NiftiHeader:
    return parse_header(header_for(np.zeros((7, 5, 3), dtype), AXIAL, edit).binaryblock)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", TYPES)
def test_the_stored_type_is_the_one_that_nibabel_wrote(dtype: str, order: str) -> None:
    found = parsed(order + dtype)
    assert found.stored == np.dtype(dtype).newbyteorder(order if dtype[1] != "1" else "=")
    assert (found.grid.shape_zyx, found.voxel_bytes, found.voxels_at) == ((7, 5, 3), 105 * int(dtype[1]), 352)
    assert found.grid.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert found.grid.origin_mm == (-90.5, -120.25, -300)  # of RAS (90.5, 120.25, -300)


@pytest.mark.parametrize(
    ("slope", "intercept", "expected", "warning"),
    [
        (2, -1024, (2, -1024), None),
        (0, 0, (1, 0), None),
        (np.nan, np.nan, (1, 0), None),
        (0, -8, (1, -8), "slope 0 with an intercept of -8: it is added to every voxel"),
        (3, np.inf, (3, 0), "an intercept of inf: 0 is taken"),
    ],
)
def test_scale(slope: float, intercept: float, expected: tuple[float, float], warning: str | None) -> None:
    def edit(header: Nifti1Header) -> None:
        header["scl_slope"], header["scl_inter"] = slope, intercept

    found = parsed(edit=edit)
    assert (found.slope, found.intercept) == expected
    assert len(found.warnings) == (warning is not None)
    assert all(warning is not None and warning in told for told in found.warnings)


@pytest.mark.parametrize("block", [b"", b"\x5c\x01\0\0" + bytes(300), b"\x5c\x01\0\0" + bytes(344)])
def test_no_header(block: bytes) -> None:
    expected = {0: "the file is empty", 304: "the file ends after 304 bytes, inside the 348-byte header"}
    with pytest.raises(InputError, match=expected.get(len(block), r"got the magic b'\\x00\\x00\\x00\\x00', expected b'n\+1")):
        parse_header(block)


def test_half_of_a_pair_is_refused() -> None:
    with pytest.raises(InputError, match=r"belongs to a \.hdr/\.img pair, expected one \.nii"):
        parsed(edit=lambda header: header.__setitem__("magic", b"ni1"))


@pytest.mark.parametrize("dtype", TYPES)
def test_nibabel_reads_our_header(dtype: str) -> None:
    block = volume_header(GRID, np.dtype(dtype), None)
    assert (len(block), block[348:]) == (352, bytes(4))  # no extension follows
    header = Nifti1Header(block[:348], check=True)
    assert (header.get_data_dtype(), header.get_data_shape(), header.get_data_offset()) == (np.dtype(dtype), (3, 5, 7), 352)
    ras = [[-0.3, 0.6, 0, 31.5], [-0.4, -0.45, 0, -12.25], [0, 0, 2.5, -400], [0, 0, 0, 1]]
    np.testing.assert_allclose(header.get_sform(), ras, atol=1e-6)
    np.testing.assert_allclose(header.get_qform(), ras, atol=1e-5)
    assert header.get_xyzt_units()[0] == "mm"


def test_of_a_source_only_the_place_goes_on() -> None:
    def edit(header: Nifti1Header) -> None:
        header["descrip"], header["scl_slope"], header["intent_code"], header["cal_max"] = b"NOMEN", 2, 3, 300
        header["sform_code"], header["pixdim"][4] = 4, 9

    source = parsed(">f4", edit)
    ours = nib.Nifti1Header(volume_header(source.grid, np.dtype(np.uint8), source)[:348])
    np.testing.assert_array_equal(ours.get_sform(), np.float32(AXIAL.sform))
    assert (ours["sform_code"], ours["qform_code"], float(ours["pixdim"][4])) == (4, 0, 1)
    assert (ours["descrip"], float(ours["scl_slope"]), ours["intent_code"], float(ours["cal_max"])) == (b"flare-trt", 1, 0, 0)
