"""Which of a NIfTI header's two affines says where the voxels lie, and the Grid that follows: ITK's rules, exactly.

nnU-Net reads scans through SimpleITK, so its rules are the ones to follow (Modules/IO/NIFTI/src/itkNiftiImageIO.cxx,
SetImageIOOrientationFromNIfTI, ITK 5.4): the spacing is always pixdim; the directions and the origin come from the sform
where it is free of shear and the qform is unset, or it is of kind 1 (scanner), or both nearly agree; else from the qform;
with neither set the grid starts at zero, axes along L, P and S. ITK takes a spacing of 0 for 1 mm and turns a negative
one; here Grid refuses both. ITK refuses a sform alone that is off from right angles; public CT sets hold many that are off
by rounding, and up to 0.001 they are read as the nearest rotation, with a warning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import MOST_SKEW, Grid, Shape, nearest_rotation

Matrix = NDArray[np.float32]

#: NIFTI_XFORM_SCANNER_ANAT.
_SCANNER = 1
#: Axes that ITK takes for right-angled.
_ITK_SKEW = 1e-4
#: Two affines that put a corner this far apart are worth a word; float32 headers agree to about 0.001 mm.
_APART_MM = 0.1
#: xyzt_units & 7 -> mm; an unknown unit counts as mm.
_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def header_grid(header: Any, shape_zyx: Shape) -> Grid:
    """The Grid (LPS, mm) of a header's fields as ITK reads it, and how nibabel takes the axes to run where that differs.

    Raises InputError where no affine is free of shear.
    """
    grid = _itk_grid(header, shape_zyx)
    as_nibabel = nibabel_orientation(header)
    return grid if as_nibabel in ("", grid.orientation) else replace(grid, nibabel_orientation=as_nibabel)


def nibabel_orientation(header: Any) -> str:
    """What nnU-Net's NibabelIOWithReorient goes by: the sform if set, else the qform, else x to Left and y to Anterior; (z, y, x).

    "" where that affine is damaged. Source: nibabel 5, Nifti1Header.get_best_affine and orientations.io_orientation.
    """
    if int(header["sform_code"]) != 0:
        matrix = _sform(header)[:3, :3]
    elif int(header["qform_code"]) != 0:
        matrix = _qform(header)[:3, :3]
    else:
        return "SAL"
    lengths = np.linalg.norm(matrix.astype(np.float64), axis=0)
    if not np.isfinite(lengths).all() or lengths.min() == 0:
        return ""
    left, _, right = np.linalg.svd(matrix / lengths)
    rotation = left @ right  # the nearest one
    letters = ["", "", ""]
    for axis in np.argsort(-(rotation**2).max(axis=0), kind="stable"):
        world = int(np.abs(rotation[:, axis]).argmax())
        letters[axis] = "RAS"[world] if rotation[world, axis] > 0 else "LPI"[world]
        rotation[world] = 0
    return "".join(reversed(letters))


def _itk_grid(header: Any, shape_zyx: Shape) -> Grid:
    unit_mm = _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    x_mm, y_mm, z_mm = (float(mm) * unit_mm for mm in header["pixdim"][1:4])
    matrix = _chosen_affine(header)
    if matrix is None:
        return Grid(shape_zyx, (z_mm, y_mm, x_mm))
    lps = _RAS_TO_LPS[:, None] * matrix[:3].astype(np.float64)
    lengths = np.linalg.norm(lps[:, :3], axis=0)
    if not np.isfinite(lps).all() or lengths.min() == 0:
        raise InputError("the affine holds no finite, non-zero axes; correct the qform or sform of the header")
    rows = lps[:, :3] / lengths
    if _skew(rows) > _ITK_SKEW:
        rows = nearest_rotation(rows)
    origin = [float(mm) * unit_mm for mm in lps[:, 3]]
    direction = tuple(tuple(float(value) for value in row) for row in rows)
    return Grid(shape_zyx, (z_mm, y_mm, x_mm), tuple(origin), direction)  # type: ignore[arg-type]  # three axes, known


def affine_warnings(header: Any, grid: Grid) -> tuple[str, ...]:
    """What is odd about the affines but usable: none set, a sform whose voxel size is not pixdim, two affines that disagree."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        return (
            "the header sets neither qform nor sform, so the scan's orientation is unknown: x is taken to run to Left and y to "
            "Posterior, as ITK does (nibabel: y to Anterior); sides and edges in the results are a guess",
        )
    if int(header["sform_code"]) <= 0:
        return ()
    warnings = []
    sform, qform = _sform(header).astype(np.float64), _qform(header).astype(np.float64)
    lengths, pixdim = np.linalg.norm(sform[:3, :3], axis=0), np.asarray(header["pixdim"][1:4], np.float32)
    if np.abs(lengths - pixdim).max() > 1e-3:  # ITK's large_value_tolerance
        warnings.append(
            f"the sform's voxel size {_sizes(lengths)} differs from pixdim's {_sizes(pixdim)}: pixdim is used, as ITK does"
        )
    skew = _skew(_unit_axes(sform))
    if int(header["qform_code"]) <= 0 and _ITK_SKEW < skew <= MOST_SKEW:
        far = np.array([n * mm for n, mm in zip(grid.shape_zyx, grid.spacing_mm, strict=True)])
        warnings.append(
            f"the axes of the sform are off from right angles by {skew:.2g}: the nearest right-angled axes are used, which moves "
            f"no voxel by more than {skew * float(np.linalg.norm(far)):.2g} mm"
        )
    elif int(header["qform_code"]) > 0 and not warnings:
        far = np.array([*grid.shape_zyx[::-1], 1], np.float64)
        apart_mm = float(max(np.abs((sform - qform) * far).sum(axis=1)))
        if apart_mm > _APART_MM:
            chosen = "sform" if np.array_equal(np.asarray(_chosen_affine(header)), sform) else "qform"
            warnings.append(f"the qform and the sform lie up to {apart_mm:.3g} mm apart: the {chosen} is used, as ITK does")
    return tuple(warnings)


def _sizes(values: NDArray[Any]) -> str:
    return " x ".join(f"{float(value):g}" for value in values)


def _chosen_affine(header: Any) -> Matrix | None:
    """The 4 x 4 RAS affine that ITK goes by; None where the header sets neither."""
    qform = _qform(header) if int(header["qform_code"]) > 0 else None
    sform = _sform(header) if int(header["sform_code"]) > 0 else None
    if qform is None and sform is None:
        return None
    if sform is not None and _free_of_shear(sform):
        scanner = int(header["sform_code"]) == _SCANNER
        if qform is None or scanner or _nearly_agree(sform, qform):
            return sform
    if qform is not None or sform is None:
        return qform
    skew = _skew(_unit_axes(sform))
    if skew <= MOST_SKEW:
        return sform
    got = (
        f"are not at right angles (off by {skew:.2g}, allowed {MOST_SKEW:g})"
        if np.isfinite(skew)
        else "have no length or are no numbers"
    )
    raise InputError(f"the axes of the sform {got} and there is no qform; correct the header, or resample to a rectangular grid")


def _sform(header: Any) -> Matrix:
    rows = [header["srow_x"], header["srow_y"], header["srow_z"], [0, 0, 0, 1]]
    return np.asarray(rows, np.float32)


def _qform(header: Any) -> Matrix:
    """nifti_quatern_to_mat44 of nifti1_io.c: the unit quaternion's rotation, scaled by pixdim, z turned where qfac is -1."""
    b, c, d = (float(header[f"quatern_{axis}"]) for axis in "bcd")
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < 1e-7:
        length = float(np.sqrt(b * b + c * c + d * d))
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = float(np.sqrt(rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    qfac = -1.0 if header["pixdim"][0] < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.asarray(header["pixdim"][1:4], np.float64) * [1.0, 1.0, qfac]
    matrix[:3, 3] = [float(header[f"qoffset_{axis}"]) for axis in "xyz"]
    return matrix.astype(np.float32)


def _free_of_shear(affine: Matrix) -> bool:
    """As ITK tests it."""
    unit = _unit_axes(affine)
    return unit is not None and bool(np.abs(unit @ unit.T - np.eye(3)).max() <= _ITK_SKEW)


def _unit_axes(affine: NDArray[np.floating[Any]]) -> NDArray[np.float64] | None:
    """The axes as columns of length 1; None where one has no length."""
    axes = affine[:3, :3].astype(np.float64)
    lengths = np.linalg.norm(axes, axis=0)
    return axes / lengths if np.isfinite(lengths).all() and lengths.min() > 0 else None


def _skew(axes: NDArray[np.float64] | None) -> float:
    """How far unit axes are from right angles: the largest cosine between two; infinite for none."""
    return np.inf if axes is None else float(np.abs(axes.T @ axes - np.eye(3)).max())


def _nearly_agree(sform: Matrix, qform: Matrix) -> bool:
    """ITK's test for sform kinds 2 to 4: equal offsets, and equal left factors and values of both singular value splits.

    Flipping an axis changes neither but for rounding: a flipped sform with the qform's offset passes where the axes run along
    the world's, in ITK and here; for oblique axes ITK's answer hangs on the last bits of its own SVD (`affine_warnings` tells).
    """
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()) or np.abs(sform[:3, 3] - qform[:3, 3]).max() > 1e-4:
        return False
    left_s, values_s, _ = np.linalg.svd(sform[:3, :3])
    left_q, values_q, _ = np.linalg.svd(qform[:3, :3])
    same_axes = np.abs(left_s @ left_q.T - np.eye(3)).max() <= 1e-4
    return bool(same_axes and np.abs(values_s - values_q).max() <= 1e-4)
