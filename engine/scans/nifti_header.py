"""The NIfTI-1 header: checked before anything is allocated, and rewritten for labels on the same grid.

Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h. Only single files (.nii, .nii.gz) of real voxels are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Shape
from flare_trt.engine.scans.nifti_affine import affine_warnings, header_grid
from flare_trt.engine.scans.nifti_fields import HEADER_BYTES, ByteOrder, fields_of, new_fields

_NIFTI_2_BYTES = 540
#: Where voxels start in a file without header extensions: the header and four bytes that say so.
VOXELS_AT = 352

#: NIfTI datatype code -> NumPy type of a voxel.
_STORED = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
#: The fields that say where voxels lie.
_PLACE = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
_OTHER = {1: "1-bit", 32: "complex", 128: "RGB", 1536: "128-bit float", 1792: "complex", 2048: "complex", 2304: "RGBA"}


@dataclass(frozen=True)
class NiftiHeader:
    """A checked header. `raw` holds its fields as they stand in the file; `stored` is the voxels' type there.

    A voxel's value is stored * slope + intercept. `warnings` tells what is odd but usable.
    """

    raw: NDArray[np.void]
    grid: Grid
    stored: np.dtype[Any]
    voxels_at: int
    slope: float
    intercept: float
    warnings: tuple[str, ...] = ()

    @property
    def voxel_bytes(self) -> int:
        """Bytes that the voxels take in the (decompressed) file."""
        return prod(self.grid.shape_zyx) * self.stored.itemsize


def parse_header(block: bytes) -> NiftiHeader:
    """Check the first 348 bytes of a (decompressed) file. Raises InputError, without the file's name."""
    if not block:
        raise InputError("the file is empty, expected a NIfTI-1 scan; copy or convert it again")
    if len(block) < HEADER_BYTES:
        raise InputError(f"the file ends after {len(block)} bytes, inside the {HEADER_BYTES}-byte header; copy it again")
    raw = _raw_header(block)
    shape_zyx = _shape_zyx(raw)
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    grid = header_grid(raw, shape_zyx)
    return NiftiHeader(
        raw=raw,
        grid=grid,
        stored=_stored_dtype(raw),
        voxels_at=_voxels_at(raw),
        # ITK (and so nnU-Net) takes an unset or NaN slope for 1 and a NaN intercept for 0
        slope=slope if np.isfinite(slope) and slope != 0 else 1.0,
        intercept=intercept if np.isfinite(intercept) else 0.0,
        warnings=affine_warnings(raw, grid) + _scale_warnings(slope, intercept),
    )


def _scale_warnings(slope: float, intercept: float) -> tuple[str, ...]:
    if np.isfinite(slope) and slope != 0 and not np.isfinite(intercept):
        return (
            f"the header holds an intercept of {intercept:g}: 0 is taken, as ITK does; nibabel refuses such a header; check "
            "that the values are HU",
        )
    if (np.isfinite(slope) and slope != 0) or not np.isfinite(intercept) or intercept == 0:
        return ()
    return (
        f"the header holds slope {slope:g} with an intercept of {intercept:g}: it is added to every voxel, as ITK does; nibabel "
        "does not add it, so check which values are HU",
    )


def volume_header(grid: Grid, dtype: np.dtype[Any], source: NiftiHeader | None) -> bytes:
    """The 352 bytes that go before voxels on `grid`: the source's affines, codes and units where there is a source.

    Nothing else of it goes on: free text may name a patient, and an intent would make a statistic of labels.
    """
    z_mm, y_mm, x_mm = grid.spacing_mm
    header = new_fields(grid.ras_affine, (x_mm, y_mm, z_mm))
    if source is not None:
        for field in _PLACE:
            header[field] = source.raw[field]
        header["pixdim"][4:] = 1
    header["dim"] = [3, *grid.shape_zyx[::-1], 1, 1, 1, 1]
    code = next(code for code, stored in _STORED.items() if np.dtype(stored) == dtype)
    header["datatype"], header["bitpix"] = code, 8 * dtype.itemsize
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"], header["cal_max"] = 0, 0
    header["vox_offset"], header["magic"], header["descrip"] = VOXELS_AT, b"n+1", b"flare-trt"
    return header.tobytes() + bytes(VOXELS_AT - HEADER_BYTES)


def _raw_header(block: bytes) -> NDArray[np.void]:
    little, big = int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")
    order: ByteOrder | None = "<" if little == HEADER_BYTES else ">" if big == HEADER_BYTES else None
    if _NIFTI_2_BYTES in (little, big):
        raise InputError("the file is NIfTI-2, expected NIfTI-1; convert it (nibabel: Nifti1Image.from_image)")
    if order is None or block[344:348] not in (b"n+1\0", b"ni1\0"):
        raise InputError(f"not a NIfTI-1 file: got the magic {block[344:348]!r}, expected b'n+1\\x00'; convert the scan to .nii.gz")
    if block[344:348] == b"ni1\0":
        raise InputError("the header belongs to a .hdr/.img pair, expected one .nii or .nii.gz file; convert the pair")
    return fields_of(block[:HEADER_BYTES], order)


def _shape_zyx(raw: Any) -> Shape:
    dim = [int(size) for size in raw["dim"]]
    if not 1 <= dim[0] <= 7:
        raise InputError(f"header: got {dim[0]} dimensions (dim[0]), expected 3; the file is damaged")
    sizes = dim[1 : dim[0] + 1]
    if min(sizes) < 1:
        raise InputError(f"header: got sizes {sizes} (dim), expected positive numbers; the file is damaged")
    if len(sizes) < 3 or max(sizes[3:], default=1) > 1:
        raise InputError(f"header: got {len(sizes)} dimensions of sizes {sizes} (x, y, z, ...), expected one 3-D scan; split it")
    return sizes[2], sizes[1], sizes[0]


def _stored_dtype(raw: Any) -> np.dtype[Any]:
    code, bitpix = int(raw["datatype"]), int(raw["bitpix"])
    if code not in _STORED:
        raise InputError(f"header: got {_OTHER.get(code, 'unknown')} voxels (datatype {code}), expected real numbers (HU)")
    dtype = np.dtype(_STORED[code]).newbyteorder(raw["dim"].dtype.byteorder)
    if bitpix != 8 * dtype.itemsize:
        raise InputError(f"header: got bitpix {bitpix} with datatype {code}, expected {8 * dtype.itemsize}; the file is damaged")
    return dtype


def _voxels_at(raw: Any) -> int:
    offset = float(raw["vox_offset"])
    if not np.isfinite(offset) or offset < VOXELS_AT or offset != int(offset):
        raise InputError(f"header: got vox_offset {offset:g}, expected a whole number of bytes from {VOXELS_AT}; it is damaged")
    return int(offset)
