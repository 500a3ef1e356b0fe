"""A scan as a network sees it: turned, cropped, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.passes.scan_view import ScanView, storage_warning
from flare_trt.kernels import Box, load

KERNELS = load("reference")
CONTENT = Box((3, 5, 0), (19, 31, 27))


@pytest.fixture
def padded() -> Volume:
    """A scan with a border of zeros on some sides."""
    hu = np.zeros((23, 31, 29), np.int16)
    hu[CONTENT.slices] = np.random.default_rng(6).integers(1, 900, CONTENT.shape_zyx)
    return Volume(hu, Grid(hu.shape, (2.5, 0.8, 0.7)))


VIEWS = [{}, {"orientation": "ILA"}, {"transpose_forward": (2, 0, 1)}, {"orientation": "RSA", "transpose_forward": (1, 2, 0)}]


@pytest.mark.parametrize("changes", VIEWS)
def test_boxes_and_voxels_go_there_and_back(make_stage: MakeStage, padded: Volume, changes: dict[str, object]) -> None:
    view = ScanView.of(padded, make_stage(**changes))
    assert view.to_source(view.whole) == CONTENT
    assert sorted(view.shape_zyx) == sorted(CONTENT.shape_zyx)
    for box in (Box((4, 6, 1), (9, 8, 27)), CONTENT):
        there = view.from_source(box)
        assert view.to_source(there) == box
        np.testing.assert_array_equal(view.turn.undo(view.read(there)), padded.array[box.slices])
    assert 0 in view.from_source(Box((0, 0, 0), (3, 5, 29))).shape_zyx  # nothing but border
    assert view.from_source(padded.grid.whole) == view.whole


@pytest.mark.parametrize("changes", VIEWS)
def test_labels_lie_where_their_voxels_lie(make_stage: MakeStage, padded: Volume, changes: dict[str, object]) -> None:
    view = ScanView.of(padded, make_stage(**changes))
    box = Box((4, 6, 1), (9, 8, 27))
    target = view.from_source(box)
    marked = (view.read(target) > 450).astype(np.uint8)
    on_scan = view.labels_on_scan(marked, target, KERNELS)
    expected = np.zeros(padded.grid.shape_zyx, np.uint8)
    expected[box.slices] = padded.array[box.slices] > 450
    np.testing.assert_array_equal(on_scan, expected)


def test_spacing_follows_the_axes(make_stage: MakeStage, padded: Volume) -> None:
    assert ScanView.of(padded, make_stage(transpose_forward=(2, 0, 1))).spacing_mm == (0.7, 2.5, 0.8)


def test_the_border_stays_where_a_stage_keeps_it(make_stage: MakeStage, padded: Volume) -> None:
    assert ScanView.of(padded, make_stage(crop_nonzero=False)).shape_zyx == (23, 31, 29)


def test_a_scan_stored_otherwise_than_scanners_do_is_told(make_stage: MakeStage, padded: Volume) -> None:
    turned = Grid((5, 5, 5), (1.0, 1.0, 1.0), direction=((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)))
    assert storage_warning(padded.grid, make_stage(orientation="as-stored")) is None
    assert "runs to SAR" in str(storage_warning(turned, make_stage(orientation="as-stored")))
    assert storage_warning(turned, make_stage(orientation="SPL")) is None
