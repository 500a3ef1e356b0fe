"""Planes of a series as one regular grid: sorted along their normal, and refused where they make none.

Equals SimpleITK's ImageSeriesReader on files sorted by position: z runs along the cross product of the row and the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.scans.dicom.plane import Plane

#: How far a plane may lie from its place on the regular grid: headers are rounded to 0.1 mm now and then.
_OFF_MM = 0.1
#: Planes nearer to each other than this lie at one place.
_SAME_PLACE_MM = 0.01
_COSINE, _PIXEL_MM = 1e-4, 1e-4
_WAY_OUT = "export it again as one complete axial reconstruction"


def distinct(planes: Sequence[Plane]) -> tuple[tuple[Plane, ...], int]:
    """The planes without second copies of the same image (same SOP instance and frame), and the number of copies."""
    kept: dict[Any, Plane] = {}
    for plane in planes:
        kept.setdefault((plane.sop_uid, plane.frame) if plane.sop_uid else (plane.file, plane.frame), plane)
    return tuple(kept.values()), len(planes) - len(kept)


def gap_mm(planes: Sequence[Plane]) -> float | None:
    """The usual distance between neighbours along the first plane's normal; None where there is none."""
    if len(planes) < 2:
        return None
    normal = np.cross(planes[0].cosines[:3], planes[0].cosines[3:])
    return float(np.median(np.diff(np.sort([np.dot(plane.position_mm, normal) for plane in planes]))))


def stack(planes: Sequence[Plane]) -> tuple[tuple[Plane, ...], Grid]:
    """The planes sorted by z, and the grid they lie on. Raises InputError, without the series' name, where they make none."""
    _require_same("image size", [plane.shape_yx for plane in planes], 0)
    _require_same("orientation", [plane.cosines for plane in planes], _COSINE)
    _require_same("pixel spacing", [plane.spacing_yx_mm for plane in planes], _PIXEL_MM)
    frames = [plane.frame_of_reference for plane in planes]
    _require_same("frame of reference", [(frames.index(frame),) for frame in frames], 0)
    if len(planes) < 2:
        raise InputError("got one slice, expected a stack of them (its spacing is unknown); name the whole series")
    axes = _axes(planes[0])
    places = np.array([plane.position_mm for plane in planes])
    order = np.argsort((places - places[0]) @ axes[:, 2], kind="stable")
    placed = places[order]
    spacing_mm = _require_regular(placed, axes)
    first = planes[order[0]]
    direction = tuple(tuple(float(value) for value in row) for row in axes)
    origin = tuple(float(value) for value in placed[0])
    grid = Grid((len(planes), *first.shape_yx), (spacing_mm, *first.spacing_yx_mm), origin, direction)  # type: ignore[arg-type]
    return tuple(planes[index] for index in order), grid


def _axes(plane: Plane) -> NDArray[np.float64]:
    """Unit vectors of x, y and z as columns. Raises InputError where the row and the column are not perpendicular."""
    row, column = np.array(plane.cosines[:3]), np.array(plane.cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(row @ column) > 1e-3:
        raise InputError("ImageOrientationPatient: the row and the column are no perpendicular unit vectors; correct the headers")
    row, column = row / lengths[0], column / lengths[1]
    normal = np.cross(row, column)
    return np.stack([row, column, normal / np.linalg.norm(normal)], axis=1)


def _require_regular(placed: NDArray[np.float64], axes: NDArray[np.float64]) -> float:
    """The distance between neighbours, mm. `placed` are sorted positions (n, 3). Raises InputError for any other stack."""
    offsets = (placed - placed[0]) @ axes
    along = offsets[:, 2]
    gaps = np.diff(along)
    doubled = int((gaps < _SAME_PLACE_MM).sum())
    if doubled:
        raise InputError(
            f"got {doubled} slices at the place of another one (several phases, echoes or reconstructions in one series), expected "
            "one image a place; split the series"
        )
    usual = float(np.median(gaps))
    steps = gaps / usual
    missing = np.round(steps)
    if missing.max() > 1 and np.abs(gaps - missing * usual).max() <= _OFF_MM:
        raise InputError(
            f"got {len(placed)} slices {usual:g} mm apart and {int((missing - 1).sum())} missing between, expected all of them; "
            f"{_WAY_OUT}"
        )
    spacing = float(along[-1] / (len(along) - 1))
    regular = np.arange(len(along)) * spacing
    if np.abs(along - regular).max() > min(_OFF_MM, spacing / 4):
        raise InputError(f"got slices {gaps.min():.4g} to {gaps.max():.4g} mm apart, expected even spacing; {_WAY_OUT}")
    shift = np.abs(offsets[:, :2]).max()
    if shift > _OFF_MM:
        tilt = np.degrees(np.arctan2(np.linalg.norm(offsets[-1, :2]), along[-1]))
        raise InputError(
            f"the slices are shifted against each other (gantry tilt of {tilt:.1f} degrees), expected a right-angled stack; "
            "resample it first (gantry tilt correction)"
        )
    return spacing


def _require_same(what: str, values: Sequence[Any], tolerance: float) -> None:
    """Raises InputError where a slice's values are not the first one's."""
    table = np.array(values, float)
    others = int((np.abs(table - table[0]) > tolerance).any(axis=1).sum())
    if others:
        raise InputError(
            f"{others} of {len(values)} slices have another {what} than the first one, expected the same in all; split the series"
        )
