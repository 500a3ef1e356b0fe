"""Planes of a series as one regular grid: sorted along their normal, and refused where they make none.

Equals SimpleITK's ImageSeriesReader on files sorted by position: z runs along the cross product of the row and the column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import MOST_SKEW, Grid, nearest_rotation
from flare_trt.engine.scans.dicom.plane import Plane

#: How far a plane may lie from its place on the regular grid: headers are rounded to 0.1 mm now and then.
_OFF_MM = 0.1
#: Planes nearer to each other than this lie at one place.
_SAME_PLACE_MM = 0.01
_COSINE, _PIXEL_MM = 1e-4, 1e-4
_WAY_OUT = "export it again as one complete axial reconstruction"


def distinct(planes: Sequence[Plane], same_values: Callable[[Plane, Plane], bool]) -> tuple[tuple[Plane, ...], int]:
    """The planes without copies, and the number of copies: images at the same place that have the same values.

    A UID makes no copy: anonymisers give one to all, and exports give two to the same image.
    """
    kept: dict[Any, list[Plane]] = {}
    for plane in planes:
        place = (plane.shape_yx, plane.cosines, tuple(round(mm / _SAME_PLACE_MM) for mm in plane.position_mm))
        here = kept.setdefault(place, [])
        if not any(same_values(plane, other) for other in here):
            here.append(plane)
    found = tuple(plane for here in kept.values() for plane in here)
    return found, len(planes) - len(found)


def gap_mm(planes: Sequence[Plane]) -> float | None:
    """The usual distance between neighbours along the first plane's normal; None where there is none."""
    if len(planes) < 2:
        return None
    normal = np.cross(planes[0].cosines[:3], planes[0].cosines[3:])
    return float(np.median(np.diff(np.sort([np.dot(plane.position_mm, normal) for plane in planes]))))


@dataclass(frozen=True)
class Stack:
    """Planes sorted by z, the grid they lie on, and what is odd about them but usable.

    `shear` of a tilted gantry is how far a plane lies from its place on the grid, along the grid's x and y, for each mm along z.
    """

    planes: tuple[Plane, ...]
    grid: Grid
    warnings: tuple[str, ...]
    shear: tuple[float, float] = (0.0, 0.0)


def stack(planes: Sequence[Plane], tilted: bool = False) -> Stack:
    """The planes as one regular grid. Raises InputError, without the series' name, where they make none.

    `tilted` lets the planes of a tilted gantry pass, which are shifted evenly against each other.
    """
    _require_same("image size", [plane.shape_yx for plane in planes], 0)
    _require_same("orientation", [plane.cosines for plane in planes], MOST_SKEW)
    _require_same("pixel spacing", [plane.spacing_yx_mm for plane in planes], _PIXEL_MM)
    frames = [plane.frame_of_reference for plane in planes]
    _require_same("frame of reference", [(frames.index(frame),) for frame in frames], 0)
    if len(planes) < 2:
        raise InputError("got one slice, expected a stack of them (its spacing is unknown); name the whole series")
    axes, warnings = _axes(np.array([plane.cosines for plane in planes]))
    places = np.array([plane.position_mm for plane in planes])
    order = np.argsort((places - places[0]) @ axes[:, 2], kind="stable")
    placed = places[order]
    offsets = (placed - placed[0]) @ axes
    _require_distinct(offsets)
    shear = _shear(offsets, tilted)
    spacing_mm = _require_regular(offsets[:, 2])
    first = planes[order[0]]
    direction = tuple(tuple(float(value) for value in row) for row in axes)
    origin = tuple(float(value) for value in placed[0])
    grid = Grid((len(planes), *first.shape_yx), (spacing_mm, *first.spacing_yx_mm), origin, direction)  # type: ignore[arg-type]
    sorted_planes = tuple(planes[index] for index in order)
    if warnings:  # so that outputs on the planes lie where the labels do
        cosines = tuple(round(float(value), 10) for value in axes[:, :2].T.ravel())  # 16 characters of a decimal string
        sorted_planes = tuple(replace(plane, cosines=cosines) for plane in sorted_planes)
    return Stack(sorted_planes, grid, warnings, shear)


def _axes(cosines: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Unit vectors of x, y and z as columns, of the orientations (n, 6), and a warning where they are the nearest that are right.

    Those of the first slice where all agree with it, as ITK takes them, else their mean. Raises InputError where the row and the
    column are not perpendicular or of no length.
    """
    apart = float(np.abs(cosines - cosines[0]).max())
    row, column = (cosines[0] if apart <= _COSINE else cosines.mean(axis=0)).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    skew = abs(float(row @ column)) / float(lengths[0] * lengths[1] or 1)
    if min(lengths) < 0.9 or max(lengths) > 1.1:
        raise InputError(
            f"ImageOrientationPatient: got a row and a column of length {lengths[0]:.3g} and {lengths[1]:.3g}, expected 1; correct "
            "the headers"
        )
    if skew > MOST_SKEW:
        raise InputError(
            f"ImageOrientationPatient: the row and the column are no perpendicular unit vectors (off by {skew:.2g}, allowed "
            f"{MOST_SKEW:g}); correct the headers"
        )
    row, column = row / lengths[0], column / lengths[1]
    normal = np.cross(row, column)
    axes = np.stack([row, column, normal / np.linalg.norm(normal)], axis=1)
    if max(apart, skew) <= _COSINE:
        return axes, ()
    what = (
        f"the slices' orientations differ by up to {apart:.2g}"
        if apart > skew
        else f"row and column are off from 90 degrees by {skew:.2g}"
    )
    return nearest_rotation(axes), (f"{what}: the nearest right-angled axes are used",)


def _require_distinct(offsets: NDArray[np.float64]) -> None:
    """Raises InputError where planes lie at one place; `offsets` (n, 3) from the first one, along x, y and z, mm, sorted by z."""
    doubled = int((np.diff(offsets[:, 2]) < _SAME_PLACE_MM).sum())
    if doubled:
        raise InputError(
            f"got {doubled} slices at the place of another one (several phases, echoes or reconstructions in one series), expected "
            "one image a place; split the series"
        )


def _require_regular(along: NDArray[np.float64]) -> float:
    """The distance between neighbours, mm, of places along the normal. Raises InputError where they are not evenly spaced."""
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    steps = gaps / usual
    missing = np.round(steps)
    if missing.max() > 1 and np.abs(gaps - missing * usual).max() <= _OFF_MM:
        raise InputError(
            f"got {len(along)} slices {usual:g} mm apart and {int((missing - 1).sum())} missing between, expected all of them; "
            f"{_WAY_OUT}"
        )
    spacing = float(along[-1] / (len(along) - 1))
    regular = np.arange(len(along)) * spacing
    if np.abs(along - regular).max() > min(_OFF_MM, spacing / 4):
        raise InputError(f"got slices {gaps.min():.4g} to {gaps.max():.4g} mm apart, expected even spacing; {_WAY_OUT}")
    return spacing


def _shear(offsets: NDArray[np.float64], tilted: bool) -> tuple[float, float]:
    """Shift along x and y for each mm along z, (0, 0) of a right-angled stack.

    Raises InputError where slices are shifted within their planes, but for the even shift of a gantry where it may be `tilted`.
    """
    shift = float(np.abs(offsets[:, :2]).max())
    if shift <= _OFF_MM:
        return 0.0, 0.0
    slope = offsets[-1, :2] / offsets[-1, 2]
    if np.abs(offsets[:, :2] - offsets[:, 2:] * slope).max() <= max(_OFF_MM, 0.02 * shift):
        if tilted:
            return float(slope[0]), float(slope[1])
        raise InputError(
            f"the slices are shifted against each other (gantry tilt of {tilt_degrees(slope):.1f} degrees), expected a "
            "right-angled stack; resample it onto an upright grid with --correct-tilt"
        )
    raise InputError(
        f"the slices are shifted against each other by up to {shift:.3g} mm within their planes, and not by a tilt, expected a "
        f"right-angled stack; {_WAY_OUT}"
    )


def tilt_degrees(shear: Sequence[float] | NDArray[np.float64]) -> float:
    """The angle of a gantry that shifts planes so far for each mm.

    >>> round(tilt_degrees((0.0, -1.0)), 6)
    45.0
    """
    return float(np.degrees(np.arctan(np.linalg.norm(shear))))


def _require_same(what: str, values: Sequence[Any], tolerance: float) -> None:
    """Raises InputError where a slice's values are not the first one's."""
    table = np.array(values, float)
    others = int((np.abs(table - table[0]) > tolerance).any(axis=1).sum())
    if others:
        raise InputError(
            f"{others} of {len(values)} slices have another {what} than the first one, expected the same in all; split the series"
        )
