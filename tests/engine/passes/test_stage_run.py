"""A stage over one scan: its passes fit its budget, and the largest of them is planned once."""

from __future__ import annotations

import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.kernels import Box, load


def run_of(make_stage: MakeStage, ct: Volume, folds: int = 1, budget_bytes: int | None = None, **changes: object) -> StageRun:
    stage = make_stage(**changes)
    sessions = [FakeSession((1, 1, *stage.patch_zyx), len(stage.channel_values)) for _ in range(folds)]
    runner = Runner(sessions, load("reference"), Stopwatch(), lambda done, total: None)
    return StageRun(stage, ScanView.of(ct, stage), runner, budget_bytes=budget_bytes)


def test_the_whole_scan_is_planned_once(make_stage: MakeStage, ct: Volume) -> None:
    run = run_of(make_stage, ct)
    assert run.pass_over(run.view.whole) is run.whole
    part = run.pass_over(Box((3, 4, 5), (9, 20, 30)))
    assert part.plan.target == Box((3, 4, 5), (9, 20, 30))
    assert part.source is run.whole.source  # the scan's range is measured once


def test_tiles_count_for_every_fold(make_stage: MakeStage, ct: Volume) -> None:
    one, three = (run_of(make_stage, ct, folds) for folds in (1, 3))
    assert three.tiles(three.whole) == 3 * one.tiles(one.whole) == 3 * one.whole.plan.tile_count


def test_memory_is_that_of_the_scan_and_the_networks(make_stage: MakeStage, ct: Volume) -> None:
    footprint = run_of(make_stage, ct, folds=2, mirror_axes=(0,)).footprint
    assert (footprint.folds, footprint.channels, footprint.mirrored) == (2, 5, True)
    assert (footprint.scan_voxels, footprint.source_itemsize) == (ct.array.size, 2)


def test_a_small_budget_cuts_the_pass_or_is_refused(make_stage: MakeStage, ct: Volume) -> None:
    assert run_of(make_stage, ct).whole.layout.planes > run_of(make_stage, ct, budget_bytes=1_300_000).whole.layout.planes
    with pytest.raises(BudgetError, match="at least"):
        _ = run_of(make_stage, ct, budget_bytes=10_000).whole
