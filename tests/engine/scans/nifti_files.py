"""Raw NIfTI-1 files for tests, field by field, so that headers can be wrong on purpose."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header

Edit = Callable[[Nifti1Header], None]


@dataclass(frozen=True)
class Forms:
    """The two affines (RAS, 4 x 4) of a header and their codes."""

    sform: Any = None
    sform_code: int = 0
    qform: Any = None
    qform_code: int = 0


def header_for(array: np.ndarray, forms: Forms, edit: Edit | None = None) -> Nifti1Header:
    """A header for a (z, y, x) array in the array's own byte order. `edit` changes fields last."""
    header = Nifti1Header(endianness=">" if array.dtype.byteorder == ">" else "<")
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape[::-1])
    if forms.qform is not None:
        header.set_qform(forms.qform, forms.qform_code)
    elif forms.sform is not None:
        header["pixdim"][1:4] = np.linalg.norm(forms.sform[:3, :3], axis=0)
    if forms.sform is not None:
        header.set_sform(forms.sform, forms.sform_code)
    header["scl_slope"], header["scl_inter"], header["vox_offset"], header["magic"] = 1, 0, 352, b"n+1"
    if edit is not None:
        edit(header)
    return header


def write_raw(path: Path, array: np.ndarray, forms: Forms, edit: Edit | None = None) -> Path:
    """Write a (z, y, x) array as it is, gzipped where the name says so."""
    block = header_for(array, forms, edit).binaryblock + bytes(4) + array.tobytes()
    path.write_bytes(gzip.compress(block, 1) if path.name.endswith(".gz") else block)
    return path


def affine(rotation: Any, spacing_xyz: Any, offset: Any) -> np.ndarray:
    """A RAS affine from its parts."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(rotation) * np.asarray(spacing_xyz)
    matrix[:3, 3] = offset
    return matrix


def random_rotation(random: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix, left- or right-handed."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


AXIAL = Forms(sform=affine(np.diag([-1, -1, 1]), (0.7, 0.8, 2.5), (90.5, 120.25, -300)), sform_code=1)
