"""Blocks of a pass: every label lies in one of them, with the taps that it has in the whole."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.passes.blocks import cut_blocks
from flare_trt.engine.passes.pass_plan import PassPlan, plan_pass
from flare_trt.engine.passes.scan_view import ScanView


@pytest.fixture
def plan(make_stage: MakeStage, ct: Volume) -> PassPlan:
    stage = make_stage(patch_zyx=(16, 12, 14))
    view = ScanView.of(ct, stage)
    return plan_pass(stage, view, view.whole)


@pytest.mark.parametrize("splits", [(1, 1), (2, 1), (1, 3), (4, 5), (60, 1)])
def test_each_label_lies_in_one_block_with_its_own_taps(plan: PassPlan, splits: tuple[int, int]) -> None:
    taps = plan.taps(0), plan.taps(1), plan.taps(2)
    seen = np.zeros((len(taps[1].lower), len(taps[2].lower)), int)
    for block in cut_blocks(plan, taps, splits):
        seen[block.target_yx] += 1
        for axis, (part, low, size) in enumerate(zip(block.target_yx, block.low_yx, block.shape_yx, strict=True), start=1):
            mine = block.taps_zyx[axis]
            np.testing.assert_array_equal(mine.lower + low, taps[axis].lower[part])
            np.testing.assert_array_equal(mine.upper + low, taps[axis].upper[part])
            np.testing.assert_array_equal(mine.weight, taps[axis].weight[part])
            assert mine.lower.min() >= 0
            assert mine.upper.max() < size
    assert (seen == 1).all()


def test_a_block_runs_each_tile_that_touches_it_and_keeps_its_own_part(plan: PassPlan) -> None:
    taps = plan.taps(0), plan.taps(1), plan.taps(2)
    height, width = plan.padded_shape[1:]
    tile = np.arange(np.prod(plan.patch_zyx)).reshape(1, *plan.patch_zyx)
    for block in cut_blocks(plan, taps, (2, 3)):
        touching = set()
        covered = np.zeros((height, width), bool)
        for corner in block.corners(plan):
            part, (y, x) = block.clip(tile, corner)
            assert part.flags["C_CONTIGUOUS"]
            assert part.size
            assert part[0, 0, 0, 0] == tile[0, 0, block.low_yx[0] + y - corner[0], block.low_yx[1] + x - corner[1]]
            covered[block.low_yx[0] + y :, block.low_yx[1] + x :][: part.shape[2], : part.shape[3]] = True
            touching.add(corner)
        assert covered[block.low_yx[0] : block.high_yx[0], block.low_yx[1] : block.high_yx[1]].all()
        assert len(touching) == len(block.corners(plan))
