"""The patient's box: tables, cushions and air do not count."""

import numpy as np
import pytest
from scipy import ndimage

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


@pytest.mark.parametrize("seed", range(4))
def test_pieces_are_those_of_scipy(seed: int) -> None:
    """Blobs that touch at edges and corners are pieces of their own; the box is that of all pieces which are large enough."""
    random = np.random.default_rng(seed)
    dense = ndimage.zoom(random.random((9, 11, 13)), (6, 13, 13), order=1)[:52, :131, :149] > 0.62
    found = body_box(Volume(np.where(dense, 40, -1000).astype(np.int16), Grid(dense.shape, (4.0, 4.0, 4.0))))
    pieces, count = ndimage.label(dense)
    sizes = np.bincount(pieces.ravel())[1:]
    assert count > 3
    cuts = [cut for cut, size in zip(ndimage.find_objects(pieces), sizes, strict=True) if size >= 0.005 * sizes.max()]
    start = [max(0, min(cut[axis].start for cut in cuts) - 4) for axis in range(3)]
    stop = [min(size, max(cut[axis].stop for cut in cuts) + 4) for axis, size in enumerate(dense.shape)]
    assert (list(found.start_zyx), list(found.stop_zyx)) == (start, stop)
