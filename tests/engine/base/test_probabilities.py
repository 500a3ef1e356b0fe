"""Probabilities on disk: what is written plane by plane in a network's axes is read in the scan's."""

from __future__ import annotations

import shutil
from itertools import pairwise, permutations, product
from types import SimpleNamespace

import numpy as np
import pytest

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.probabilities import Probabilities, StoredAxes
from flare_trt.kernels import Box

GRID = Grid((5, 7, 9), (2.5, 0.8, 0.7))
CROP = Box((1, 0, 2), (4, 7, 8))  # of the scan


def filled(turn: Reorientation, values: np.ndarray, has_background: bool) -> Probabilities:
    """All of the crop written, in rows of several heights."""
    kept = Probabilities(StoredAxes(GRID, turn, turn.apply_box(CROP, GRID.shape_zyx)), len(values), has_background)
    turned = np.stack([turn.apply(channel[CROP.slices]) for channel in values])
    for z in range(turned.shape[1]):
        for y in range(0, turned.shape[2], 2):
            for x in (0, 2):
                part = turned[:, z, y : y + 2, x : x + 2] if x == 0 else turned[:, z, y : y + 2, 2:]
                kept.write((z, y, x), part)
    return kept


@pytest.mark.parametrize(("order", "flips"), [*product(permutations(range(3)), [(False, True, False), (True, False, True)])])
def test_every_turn_is_undone(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> None:
    values = np.random.default_rng(4).random((3, *GRID.shape_zyx)).astype(np.float32)
    kept = filled(Reorientation(order, flips), values, has_background=True)
    expected = np.zeros_like(values)
    expected[0] = 1
    expected[:, *CROP.slices] = values[:, *CROP.slices]
    for box in (GRID.whole, Box((0, 2, 3), (3, 5, 9)), Box((4, 0, 0), (5, 7, 9))):
        for channel in range(3):
            np.testing.assert_array_equal(kept.read(channel, box), expected[channel, *box.slices])
    kept.keep(Box((2, 1, 0), (3, 6, 5)))
    inner = Box((2, 1, 2), (3, 6, 5))
    found = kept.read(0, GRID.whole)
    np.testing.assert_array_equal(found[inner.slices], values[0, *inner.slices])
    assert (found == 1).sum() == GRID.voxels - 5 * 3
    assert not kept.read(1, Box((0, 0, 0), (1, 7, 9))).any()


def test_regions_have_no_background_channel() -> None:
    kept = filled(Reorientation((0, 1, 2), (False, False, False)), np.ones((2, *GRID.shape_zyx), np.float32), has_background=False)
    assert kept.read(0, GRID.whole).sum() == kept.read(1, GRID.whole).sum() == 3 * 7 * 6


def test_a_full_disk_is_found_before_work_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3779))
    with pytest.raises(OutputError, match=r"probabilities: take 3780 bytes in .*, 3779 are free; free some, or set TMPDIR"):
        Probabilities(StoredAxes.plain(GRID), 3, True)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3780))
    Probabilities(StoredAxes.plain(GRID), 3, True)


def test_parts_cover_the_scan_once() -> None:
    grid = Grid((150, 301, 299), (1, 1, 1))
    parts = list(Probabilities(StoredAxes.plain(grid), 2, True).parts())
    assert len(parts) > 1
    edges = [0, *(part.stop_zyx[0] for part in parts)]
    assert [part.ranges[0] for part in parts] == list(pairwise(edges))
    assert parts[-1].stop_zyx == grid.shape_zyx
