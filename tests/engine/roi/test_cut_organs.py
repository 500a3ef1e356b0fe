"""Which organs a box is said to cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.roi.cut_organs import cut_organs
from flare_trt.kernels import Box, load

GRID = Grid((41, 60, 63), (4.0, 3.0, 3.0))
KERNELS = load("reference")
NAMES = {1: "liver", 2: "spleen"}
BOX = Box((5, 10, 10), (30, 50, 50))


def labelled(*boxes: Box) -> NDArray[np.uint8]:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    for box in boxes:
        labels[box.slices] = 1
    return labels


def test_an_organ_at_the_scan_s_own_edge_is_not_cut_by_the_box() -> None:
    labels = labelled(Box((0, 20, 20), (10, 40, 40)))
    assert cut_organs(labels, Box((0, 10, 10), (30, 50, 50)), GRID, NAMES, KERNELS) == []
    assert cut_organs(labels, BOX, GRID, NAMES, KERNELS) == [("liver", "I")]


@pytest.mark.parametrize(
    ("organ", "side"),
    [
        (Box((20, 20, 20), (30, 40, 40)), "S"),
        (Box((10, 10, 20), (20, 40, 40)), "A"),
        (Box((10, 20, 20), (20, 50, 40)), "P"),
        (Box((10, 20, 10), (20, 40, 40)), "R"),
        (Box((10, 20, 20), (20, 40, 50)), "L"),
    ],
)
def test_each_face_is_told_by_its_world_direction(organ: Box, side: str) -> None:
    assert cut_organs(labelled(organ), BOX, GRID, NAMES, KERNELS) == [("liver", side)]


def test_a_few_voxels_on_a_face_are_no_organ() -> None:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[5, 20, 20:24] = 1  # 36 mm2 of the face
    assert cut_organs(labels, BOX, GRID, NAMES, KERNELS) == []


def test_an_organ_between_the_steps_is_not_seen() -> None:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[5, 21, 10:50] = 1  # every third row of the box is looked at, from its 10th on
    assert cut_organs(labels, BOX, Grid(GRID.shape_zyx, (4.0, 1.0, 1.0)), NAMES, KERNELS) == []
    labels[5, 22, 10:50] = 1
    assert cut_organs(labels, BOX, Grid(GRID.shape_zyx, (4.0, 1.0, 1.0)), NAMES, KERNELS) == [("liver", "I")]


def test_a_piece_apart_from_the_organ_asks_for_no_larger_box() -> None:
    organ, stray = Box((12, 20, 20), (25, 40, 40)), Box((5, 12, 12), (9, 20, 20))
    assert cut_organs(labelled(organ, stray), BOX, GRID, NAMES, KERNELS) == []
    assert cut_organs(labelled(stray), BOX, GRID, NAMES, KERNELS) == [("liver", "I")]
