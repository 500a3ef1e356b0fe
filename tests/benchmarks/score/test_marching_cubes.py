from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from flare_trt.benchmarks.score.marching_cubes import CORNERS, surfel_areas


def code_of(corners: set[tuple[int, int, int]]) -> int:
    return sum(1 << bit for bit, corner in enumerate(CORNERS) if corner in corners)


def test_one_corner_cuts_one_triangle() -> None:
    area = surfel_areas((1.0, 2.0, 4.0))[code_of({(0, 0, 0)})]
    a, b, c = np.array([(0.5, 0, 0), (0, 1.0, 0), (0, 0, 2.0)])  # the middles of the three edges at the corner
    assert area == pytest.approx(np.linalg.norm(np.cross(b - a, c - a)) / 2)


def test_half_a_cube_is_cut_by_a_rectangle() -> None:
    areas = surfel_areas((2.5, 0.7, 0.8))
    assert areas[code_of({c for c in CORNERS if c[0] == 0})] == pytest.approx(0.7 * 0.8)
    assert areas[code_of({c for c in CORNERS if c[2] == 1})] == pytest.approx(2.5 * 0.7)


def test_no_surface_where_all_corners_are_alike() -> None:
    areas = surfel_areas((1.0, 1.0, 1.0))
    assert areas[0] == areas[255] == 0
    assert (areas[1:255] > 0).all()


def test_areas_do_not_depend_on_axis_order_direction_or_on_which_side_is_inside() -> None:
    spacing = (0.8, 1.1, 3.0)
    areas = surfel_areas(spacing)
    assert areas == pytest.approx(areas[::-1])
    for order, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
        turned = surfel_areas(tuple(spacing[axis] for axis in order))  # type: ignore[arg-type]
        for code in range(256):
            corners = {c for bit, c in enumerate(CORNERS) if code >> bit & 1}
            moved = {tuple(c[axis] ^ flips[axis] for axis in order) for c in corners}
            assert turned[code_of(moved)] == pytest.approx(areas[code])  # type: ignore[arg-type]


@pytest.mark.peer
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.9, 2.5), (5.0, 0.5, 1.7)])
def test_equals_the_table_of_surface_distance(spacing: tuple[float, float, float]) -> None:
    tables = pytest.importorskip("surface_distance.lookup_tables")
    bits = [int(tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL[corner]) for corner in CORNERS]
    codes = [sum(bits[i] for i in range(8) if code >> i & 1) for code in range(256)]
    expected = tables.create_table_neighbour_code_to_surface_area(spacing)[codes]
    assert np.abs(surfel_areas(spacing) - expected).max() < 1e-12
