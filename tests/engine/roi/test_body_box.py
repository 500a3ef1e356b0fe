"""The patient's box: tables, cushions and air do not count."""

import numpy as np

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.roi.body_box import body_box
from flare_trt.kernels import Box

GRID = Grid((60, 150, 170), (3.0, 2.0, 2.0))


def scan(*blocks: Box) -> Volume:
    array = np.full(GRID.shape_zyx, -1000, np.int16)
    for block in blocks:
        array[block.slices] = 40
    return Volume(array, GRID)


BODY = Box((20, 40, 50), (60, 110, 140))


def contains(outer: Box, inner: Box) -> bool:
    low = all(a <= b for a, b in zip(outer.start_zyx, inner.start_zyx, strict=True))
    return low and all(a >= b for a, b in zip(outer.stop_zyx, inner.stop_zyx, strict=True))


def test_the_box_holds_the_body_and_little_more() -> None:
    box = body_box(scan(BODY))
    assert contains(box, BODY)
    assert all(s - b <= 20 for s, b in zip(box.shape_zyx, BODY.shape_zyx, strict=True))


def test_a_cushion_does_not_count_and_an_arm_does() -> None:
    cushion, arm = Box((2, 4, 4), (6, 12, 20)), Box((22, 60, 4), (60, 80, 20))
    assert body_box(scan(BODY, cushion)) == body_box(scan(BODY))
    assert contains(body_box(scan(BODY, arm)), arm)


def test_a_scan_of_air_is_looked_at_as_a_whole() -> None:
    assert body_box(scan()) == Box((0, 0, 0), GRID.shape_zyx)
