"""The 348 bytes of a NIfTI-1 header as named fields, in the byte order of the file.

Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h. A NumPy record is enough for it; nibabel would cost a third of a
second to import, and a second more where pydicom is installed, which it imports too.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 348

ByteOrder = Literal["<", ">"]

_FIELDS: list[tuple[Any, ...]] = [
    ("sizeof_hdr", "i4"),
    ("data_type", "S10"),
    ("db_name", "S18"),
    ("extents", "i4"),
    ("session_error", "i2"),
    ("regular", "S1"),
    ("dim_info", "u1"),
    ("dim", "i2", 8),
    ("intent_p1", "f4"),
    ("intent_p2", "f4"),
    ("intent_p3", "f4"),
    ("intent_code", "i2"),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("slice_start", "i2"),
    ("pixdim", "f4", 8),
    ("vox_offset", "f4"),
    ("scl_slope", "f4"),
    ("scl_inter", "f4"),
    ("slice_end", "i2"),
    ("slice_code", "u1"),
    ("xyzt_units", "u1"),
    ("cal_max", "f4"),
    ("cal_min", "f4"),
    ("slice_duration", "f4"),
    ("toffset", "f4"),
    ("glmax", "i4"),
    ("glmin", "i4"),
    ("descrip", "S80"),
    ("aux_file", "S24"),
    ("qform_code", "i2"),
    ("sform_code", "i2"),
    ("quatern_b", "f4"),
    ("quatern_c", "f4"),
    ("quatern_d", "f4"),
    ("qoffset_x", "f4"),
    ("qoffset_y", "f4"),
    ("qoffset_z", "f4"),
    ("srow_x", "f4", 4),
    ("srow_y", "f4", 4),
    ("srow_z", "f4", 4),
    ("intent_name", "S16"),
    ("magic", "S4"),
]
#: Fields in the byte order that files are written in.
LITTLE = np.dtype(_FIELDS).newbyteorder("<")

#: xyzt_units of mm, and the code of an affine that maps to scanner coordinates.
_MM, _SCANNER = 2, 1


def fields_of(block: bytes, order: ByteOrder) -> NDArray[np.void]:
    """The fields of a header's bytes, an array of no axes; `order` is "<" or ">"."""
    return np.frombuffer(block, LITTLE.newbyteorder(order), count=1).reshape(())


def new_fields(ras_affine: NDArray[np.float64], spacing_xyz: tuple[float, float, float]) -> NDArray[np.void]:
    """A header whose two affines are `ras_affine` (4 x 4, mm, orthogonal axes as long as the spacing); no sizes, no type."""
    fields = np.zeros((), LITTLE)
    fields["sizeof_hdr"], fields["xyzt_units"] = HEADER_BYTES, _MM
    fields["sform_code"] = fields["qform_code"] = _SCANNER
    for row, name in zip(ras_affine, ("srow_x", "srow_y", "srow_z"), strict=False):
        fields[name] = row
    rotation = ras_affine[:3, :3] / np.asarray(spacing_xyz)
    left_handed = bool(np.linalg.det(rotation) < 0)
    if left_handed:
        rotation[:, 2] *= -1
    fields["pixdim"] = [-1.0 if left_handed else 1.0, *spacing_xyz, 1, 1, 1, 1]
    for name, value in zip(("quatern_b", "quatern_c", "quatern_d"), unit_quaternion(rotation)[1:], strict=True):
        fields[name] = value
    for name, value in zip(("qoffset_x", "qoffset_y", "qoffset_z"), ras_affine[:3, 3], strict=True):
        fields[name] = value
    return fields


def unit_quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(a, b, c, d) with a >= 0 of a 3 x 3 rotation: the eigenvector of largest eigenvalue (Bar-Itzhack, J. Guidance 23(6), 2000).

    That is the nearest rotation's also where rounding has left the axes not quite orthogonal.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    vectors = np.linalg.eigh(symmetric)[1]  # eigh reads the lower triangle
    b, c, d, a = vectors[:, -1]
    return np.array([a, b, c, d]) * (-1.0 if a < 0 else 1.0)
