"""Planes as a grid, by hand: order, spacing, direction, copies, and the figures that the refusals name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.scans.dicom.series_files import AXIAL, OBLIQUE, SAGITTAL

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.scans.dicom.acquired import Acquired
from flare_trt.engine.scans.dicom.plane import Plane
from flare_trt.engine.scans.dicom.stack import distinct, gap_mm, stack

FIRST = Plane(
    file=0,
    frame=0,
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    sop_uid="1.2.3",
    frame_of_reference="1.2",
    transfer_syntax="1.2.840.10008.1.2.1",
    shape_yx=(5, 7),
    spacing_yx_mm=(0.8, 0.7),
    position_mm=(-30.0, 12.0, -400.0),
    cosines=AXIAL,
    slope=1.0,
    intercept=-1024.0,
    bits=12,
    signed=False,
    thickness_mm=None,
    rescaled=True,
    modified=False,
    lossy=False,
    multi_frame=False,
    acquired=Acquired(),
)


def at(*offsets: tuple[float, float, float], cosines: tuple[float, ...] = AXIAL) -> list[Plane]:
    """Planes at offsets (x, y, z) in mm from the first one's place."""
    x, y, z = FIRST.position_mm
    places = [(x + dx, y + dy, z + dz) for dx, dy, dz in offsets]
    return [replace(FIRST, file=file, position_mm=place, cosines=cosines) for file, place in enumerate(places)]


def along_z(*offsets: float) -> list[Plane]:
    return at(*((0.0, 0.0, offset) for offset in offsets))


def test_planes_are_sorted_along_their_normal() -> None:
    found = stack(along_z(5, 0, 7.5, 2.5))
    assert [plane.file for plane in found.planes] == [1, 3, 0, 2]
    assert (found.grid.shape_zyx, found.grid.spacing_mm, found.grid.origin_mm) == ((4, 5, 7), (2.5, 0.8, 0.7), (-30, 12, -400))
    assert (found.grid.direction, found.warnings) == (((1, 0, 0), (0, 1, 0), (0, 0, 1)), ())


def test_z_is_the_cross_product_of_row_and_column() -> None:
    """Sagittal: the row runs to posterior, the column to inferior, so z runs to the right (-x)."""
    found = stack(at((0, 0, 0), (3, 0, 0), (6, 0, 0), cosines=SAGITTAL))
    assert [plane.file for plane in found.planes] == [2, 1, 0]
    assert (found.grid.spacing_mm, found.grid.origin_mm) == ((3, 0.8, 0.7), (-24, 12, -400))
    assert np.array_equal(found.grid.direction, [[0, 0, -1], [1, 0, 0], [0, -1, 0]])


def test_the_gap_is_the_median_along_the_normal() -> None:
    assert gap_mm(along_z(0)) is None
    assert gap_mm(along_z(20, 0, 2, 5)) == 3  # of 2, 3 and 15
    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    assert gap_mm(at((0, 0, 0), tuple(4 * normal), cosines=OBLIQUE)) == pytest.approx(4, abs=1e-5)


def test_copies_are_at_one_place_with_the_same_values() -> None:
    planes = along_z(0, 2, 2.004, 2.04, 4)
    kept, copies = distinct(planes, lambda one, other: True)
    assert ([plane.file for plane in kept], copies) == ([0, 1, 3, 4], 1)
    assert distinct(planes, lambda one, other: False) == (tuple(planes), 0)


def test_a_plane_may_be_off_by_a_tenth_of_a_millimetre() -> None:
    assert stack(along_z(0, 2.09, 4, 6)).grid.spacing_mm[0] == 2
    with pytest.raises(InputError, match=r"got slices 1\.85 to 2\.15 mm apart, expected even spacing"):
        stack(along_z(0, 2.15, 4, 6))


def test_thin_slices_may_be_off_by_a_quarter_of_their_spacing() -> None:
    assert stack(along_z(0, 0.24, 0.4, 0.6)).grid.spacing_mm[0] == pytest.approx(0.2)
    with pytest.raises(InputError, match="expected even spacing"):
        stack(along_z(0, 0.26, 0.4, 0.6))


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (along_z(0), "got one slice, expected a stack of them"),
        (along_z(0, 3, 3, 6, 6.005), "got 2 slices at the place of another one"),
        (along_z(0, 3, 6, 15, 18, 24), "got 6 slices 3 mm apart and 3 missing between"),
        (at(*((0, z * np.tan(np.radians(15)), z) for z in (0, 5, 10, 15))), r"gantry tilt of 15\.0 degrees"),
        (at((0, 0, 0), (0.3, 0, 5), (0, -1.25, 10), (0, 0, 15)), r"by up to 1\.25 mm within their planes, and not by a tilt"),
        ([*along_z(0, 3), replace(FIRST, shape_yx=(5, 8))], "1 of 3 slices have another image size than the first one"),
        ([*along_z(0, 3), replace(FIRST, spacing_yx_mm=(0.8, 0.71))], "1 of 3 slices have another pixel spacing"),
        ([*along_z(0), *[replace(FIRST, frame_of_reference="1.9")] * 2], "2 of 3 slices have another frame of reference"),
        (at((0, 0, 0), (0, 0, 3), cosines=(1, 0, 0, 0, 0.5, 0)), r"a row and a column of length 1 and 0\.5, expected 1"),
        (at((0, 0, 0), (0, 0, 3), cosines=(1, 0, 0, 0.6, 0.8, 0)), r"no perpendicular unit vectors \(off by 0\.6, allowed"),
    ],
)
def test_what_makes_no_grid(planes: list[Plane], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stack(planes)
