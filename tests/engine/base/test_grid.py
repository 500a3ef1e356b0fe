"""Grids and reorientation, against SimpleITK's own geometry."""

from itertools import permutations, product

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import OPPOSITE, Grid, Reorientation
from flare_trt.kernels import Box

CODES = ["".join(code) for letters in permutations(["RL", "AP", "IS"]) for code in product(*letters)]


def grid_of(code_zyx: str, shape: tuple[int, int, int] = (5, 7, 9)) -> Grid:
    """A grid whose axes run in these directions, with a different spacing on each."""
    unit = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    columns = np.array([unit[letter] for letter in reversed(code_zyx)], float).T
    direction = tuple(tuple(row) for row in columns.tolist())
    return Grid(shape, (2.5, 0.8, 1.1), (10.0, -20.0, 30.0), direction)  # type: ignore[arg-type]


def world(grid: Grid, index_zyx: tuple[int, int, int]) -> np.ndarray:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.Image([int(n) for n in grid.shape_zyx[::-1]], sitk.sitkUInt8)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(np.asarray(grid.direction).ravel().tolist())
    return np.array(image.TransformIndexToPhysicalPoint([int(i) for i in index_zyx[::-1]]))


@pytest.mark.parametrize("code", CODES)
def test_each_orientation_is_named_and_turned_to_each_other(code: str) -> None:
    grid = grid_of(code)
    assert grid.orientation == code
    array = np.arange(5 * 7 * 9).reshape(grid.shape_zyx)
    for wanted in ("SPL", "RAI", "LSP"):
        turn = Reorientation.to(grid, wanted)
        turned = turn.apply(array)
        assert turn.grid(grid).orientation == wanted
        assert turn.grid(grid).shape_zyx == turned.shape
        np.testing.assert_array_equal(turn.undo(turned), array)


def test_a_turned_voxel_stays_at_its_place_in_the_patient() -> None:
    grid = grid_of("RSA")
    turn = Reorientation.to(grid, "SPL")
    array = np.zeros(grid.shape_zyx)
    array[4, 1, 6] = 1
    index = tuple(int(i[0]) for i in np.nonzero(turn.apply(array)))
    np.testing.assert_allclose(world(turn.grid(grid), index), world(grid, (4, 1, 6)), atol=1e-9)  # type: ignore[arg-type]


def test_boxes_turn_with_the_array() -> None:
    grid = grid_of("ALI")
    turn = Reorientation.to(grid, "SPL").transposed((2, 0, 1))
    array = np.zeros(grid.shape_zyx, bool)
    box = Box((1, 2, 3), (3, 7, 8))
    array[box.slices] = True
    turned = turn.apply_box(box, grid.shape_zyx)
    assert turn.apply(array)[turned.slices].all()
    assert turn.apply(array).sum() == np.prod(turned.shape_zyx)
    assert turn.undo_box(turned, grid.shape_zyx) == box


def test_a_cropped_grid_keeps_its_place() -> None:
    grid = grid_of("IPR")
    cropped = grid.cropped(Box((1, 2, 3), (4, 6, 9)))
    assert cropped.shape_zyx == (3, 4, 6)
    np.testing.assert_allclose(world(cropped, (0, 0, 0)), world(grid, (1, 2, 3)), atol=1e-9)


def test_an_oblique_grid_gets_its_nearest_orientation() -> None:
    cos, sin = float(np.cos(np.deg2rad(20))), float(np.sin(np.deg2rad(20)))
    direction = ((1.0, 0.0, 0.0), (0.0, cos, -sin), (0.0, sin, cos))
    assert Grid((3, 3, 3), (1, 1, 1), direction=direction).orientation == "SPL"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape_zyx": (0, 3, 3)}, "shape"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"origin_mm": (float("inf"), 0.0, 0.0)}, "origin"),
        ({"direction": ((1.0, 0.3, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "sheared"),
        ({"direction": ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))}, "singular"),
    ],
)
def test_a_bad_grid_is_refused(change: dict[str, object], word: str) -> None:
    good: dict[str, object] = {"shape_zyx": (3, 3, 3), "spacing_mm": (1.0, 1.0, 1.0)}
    with pytest.raises(InputError, match=word):
        Grid(**{**good, **change})  # type: ignore[arg-type]


def test_same_place_sees_a_shift() -> None:
    grid = grid_of("SPL")
    moved = Grid(grid.shape_zyx, grid.spacing_mm, (10.5, -20.0, 30.0), grid.direction)
    assert grid.same_place(grid)
    assert not grid.same_place(moved)


@pytest.mark.parametrize("orientation", ["SPL", "IAR", "LSP", "PRI"])
def test_margins_and_edges_are_named_by_the_patient_s_sides(orientation: str) -> None:
    upright = Grid((20, 30, 40), (2.0, 1.5, 1.0))
    turn = Reorientation.to(upright, orientation)
    turned, box = turn.grid(upright), Box((3, 4, 5), (20, 9, 11))
    low_mm, high_mm = (4.1, 3.0, 2.0), (50.0, 1.4, 0.0)  # towards I, A, R and S, P, L
    expected = Box((0, 2, 3), (20, 10, 11))
    for grid, there in ((upright, lambda b: b), (turned, lambda b: turn.apply_box(b, upright.shape_zyx))):
        assert grid.grown(there(box), low_mm, high_mm) == there(expected)
        assert set(grid.edges_touched(there(box))) == {"S"}
        assert set(grid.edges_touched(there(expected))) == {"S", "I"}
    assert [orientation[turned.axis_along(letter)] in (letter, OPPOSITE[letter]) for letter in "SIPALR"] == [True] * 6
    assert sorted(turned.extent_mm) == [40.0, 40.0, 45.0]
    assert turned.whole.shape_zyx == turned.shape_zyx
    assert turned.voxels == 24_000
