"""The memory that a pass is promised to stay in, against what it allocates on a fake GPU, and how layouts are chosen."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from tests.engine.conftest import MakeStage
from tests.fakes.device_memory import POOL

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.channel_spec import LabelInput
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.growing_box import segment_box
from flare_trt.engine.passes.pass_memory import Layout, _layouts, choose_layout, pass_memory
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.kernels import Box, Kernels, load

#: Label, tap and index tables of a restored slab, which the promise leaves out: a few per voxel of an axis.
_TABLES = 30_000


class FixedOutput:
    """A network on the GPU whose output array is its own, as TensorRT's is."""

    backend, device, precision = "tensorrt", "cuda:0", "fp32"

    def __init__(self, stage: StageSpec, kernels: Kernels) -> None:
        self.input_shape, self.channels = (1, stage.input_channels, *stage.patch_zyx), len(stage.channel_values)
        self._output = kernels.upload(np.random.default_rng(1).normal(size=(self.channels, *stage.patch_zyx)).astype(np.float32))

    def run(self, tile: Any) -> Any:
        return self._output

    def close(self) -> None:
        """Nothing is open."""


def scan(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], dtype: str) -> Volume:
    hu = np.random.default_rng(3).normal(0, 200, shape).astype(dtype)
    hu[0, 0, 0] = 1
    return Volume(hu, Grid(shape, spacing_mm))


def run_of(stage: StageSpec, ct: Volume, folds: int = 1, budget_bytes: int | None = None) -> StageRun:
    kernels = load("cuda")
    runner = Runner([FixedOutput(stage, kernels) for _ in range(folds)], kernels, Stopwatch(), lambda done, total: None)
    return StageRun(stage, ScanView.of(ct, stage), runner, budget_bytes=budget_bytes)


def peak_bytes(run: StageRun, box: Box) -> int:
    """What the pass over a box of the scan allocates at most, beside the networks."""
    start = len(POOL.events)
    found = segment_box(run, box)
    del found
    return max(accumulate(POOL.events[start:]))


SCANS = {
    "many slices": ((117, 47, 53), (1.3, 1.9, 2.1), "int16"),
    "thick slices": ((13, 75, 69), (9.0, 1.2, 1.3), "int16"),
    "float": ((63, 61, 47), (3.1, 2.2, 2.3), "float32"),
}
CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "regions": {"activation": "regions", "channel_values": (1, 2, 3)},
    "turned": {"transpose_forward": (2, 0, 1)},
    "mirrored": {"mirror_axes": (0, 2)},
}


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("name", SCANS)
def test_a_pass_keeps_its_promise(gpu: None, make_stage: MakeStage, name: str, changes: str) -> None:
    ct = scan(*SCANS[name])
    stage = make_stage(patch_zyx=(16, 24, 20), **CHANGES[changes])
    run = run_of(stage, ct)
    promised = pass_memory(run.whole.plan, run.footprint, run.whole.layout).peak_bytes
    taken = peak_bytes(run, ct.grid.whole)
    assert 0.5 * promised < taken <= promised + _TABLES


@pytest.mark.parametrize("folds", [1, 3])
def test_a_budget_is_kept(gpu: None, make_stage: MakeStage, folds: int) -> None:
    """From the quickest layout to the one of many blocks: each budget between is kept; a refusal names the least that works."""
    ct = scan(*SCANS["many slices"])
    stage = make_stage(patch_zyx=(16, 24, 20))
    most = pass_memory((free := run_of(stage, ct, folds)).whole.plan, free.footprint, free.whole.layout).peak_bytes
    layouts = set()
    for budget_bytes in np.linspace(most, most // 8, 9).astype(int).tolist():
        run = run_of(stage, ct, folds, budget_bytes)
        with suppress(BudgetError):
            layouts.add(run.whole.layout)
        if "whole" not in vars(run):  # refused
            break
        assert peak_bytes(run, ct.grid.whole) <= budget_bytes + _TABLES
    assert len(layouts) > 3
    assert any(layout.splits_yx != (1, 1) for layout in layouts)


def test_an_open_ring_is_counted(gpu: None, make_stage: MakeStage) -> None:
    ct = scan(*SCANS["many slices"])
    stage = make_stage(patch_zyx=(16, 24, 20))
    run, box = run_of(stage, ct), Box((20, 0, 0), (58, 47, 53))
    start = len(POOL.events)
    found = segment_box(run, box)
    assert found.open_pass is not None
    taken = max(accumulate(POOL.events[start:]))
    plan = found.open_pass.plan
    closed = pass_memory(plan, run.footprint, run.pass_over(run.view.from_source(box)).layout)
    kept = pass_memory(plan, run.footprint, closed.layout, plan.starts_zyx[0][-1] + 8)
    assert closed.peak_bytes <= kept.peak_bytes
    assert taken <= kept.peak_bytes + _TABLES


def test_the_labels_of_the_stage_before_are_counted(gpu: None, make_stage: MakeStage) -> None:
    ct = scan(*SCANS["many slices"])
    stage = make_stage(patch_zyx=(16, 24, 20), previous=LabelInput((1, 2, 5)))
    run = run_of(stage, ct)
    labels = run.runner.kernels.upload(np.random.default_rng(4).integers(0, 6, ct.grid.shape_zyx).astype(np.uint8))
    behind = run.behind(labels)
    promised = pass_memory(behind.whole.plan, behind.footprint, behind.whole.layout).peak_bytes
    assert 0.4 * promised < peak_bytes(behind, ct.grid.whole) <= promised + _TABLES  # labels and their slabs lie on the host
    least = list(_layouts(behind.whole.plan))[-1]
    assert pass_memory(behind.whole.plan, behind.footprint, least).peak_bytes < promised / 2


def test_the_quickest_layout_that_fits_is_taken(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(patch_zyx=(16, 24, 20))
    view = ScanView.of(ct, stage)
    run = StageRun(stage, view, Runner([FixedOutput(stage, load("reference"))], load("reference"), Stopwatch(), print))
    plan, footprint = run.whole.plan, run.footprint
    free = choose_layout(plan, footprint, None)
    assert free.layout == Layout(plan.padded_shape[0], plan.padded_shape[0])
    tight = choose_layout(plan, footprint, free.peak_bytes - 1)
    assert tight.layout.planes < free.layout.planes
    assert tight.peak_bytes < free.peak_bytes
    with pytest.raises(BudgetError, match=r"needs at least \d+ MB .* free \d+ MB"):
        choose_layout(plan, footprint, 1000)


def test_each_fold_and_each_voxel_counts(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    run = StageRun(
        stage, ScanView.of(ct, stage), Runner([FixedOutput(stage, load("reference"))], load("reference"), Stopwatch(), print)
    )
    plan, layout, footprint = run.whole.plan, run.whole.layout, run.footprint

    def peak(**changes: Any) -> int:
        return pass_memory(plan, replace(footprint, **changes), layout).peak_bytes

    assert peak(scan_voxels=footprint.scan_voxels + 1000) == peak() + 1000
    rings = [b.bytes for b in pass_memory(plan, footprint, layout).buffers if b.name in ("logits ring", "weights ring")]
    assert peak(folds=3) == peak() + 2 * sum(rings)
