"""The plan of a scan is what a run allocates: the pipeline on the fake GPU, whose allocator counts, against its rehearsal."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_bundle import write_tiny_bundle
from tests.fakes.device_memory import POOL

from flare_trt.benchmarks.gpu_plan.network_facts import network_facts
from flare_trt.benchmarks.gpu_plan.paper import TABLE_4, paper_model
from flare_trt.benchmarks.gpu_plan.scan_plan import PlannedModel, PlannedScan, ScanPlan, plan_scan
from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.engine.passes.growing_box import segment_box
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.roi.cascade import coarse_labels
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import Box, load

#: CUDA's context, which no plan holds: an assumption, generous for a driver of today.
CONTEXT_MB = 500
FLARE_MB = 4096 * 1.048576  # FLARE's 4 GB are 4096 MiB


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def model_of(bundle: Path, **changes: object) -> PlannedModel:
    """The tiny bundle's model, its stage changed, and the same network for a coarse stage."""
    with open_bundle(bundle) as opened:
        facts = network_facts(bundle / "fine.onnx")
        stage = replace(opened.spec.fine, **changes)  # type: ignore[arg-type]
        coarse = replace(opened.spec.fine, spacing_mm=(4.0, 3.1, 2.9), tile_step=1.0)
        return PlannedModel(replace(opened.spec, fine=stage, coarse=coarse), {"coarse": (facts,), "fine": (facts,)})


def one_stage(model: PlannedModel) -> PlannedModel:
    return PlannedModel(replace(model.spec, coarse=None), {"fine": model.networks["fine"]})


def smooth_ct(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], dtype: str = "int16") -> Volume:
    z, y, x = (np.sin(np.arange(size) / 5 + size) for size in shape)
    array = 300 * (z[:, None, None] + y[None, :, None]) * x[None, None, :] + 30
    return Volume(np.ascontiguousarray(array.astype(dtype)), Grid(shape, spacing_mm))


def run_on_gpu(spec: ModelSpec, bundle: Path, plan: ScanPlan, ct: Volume, roi: Box, budget_mb: int | None) -> list[int]:
    """Allocations (+bytes) and releases (-bytes) of the run that `plan` is for, in their order."""
    kernels, runs = load("cuda"), {}
    budget = None if budget_mb is None else budget_mb * 1_000_000 - plan.network_bytes
    for name, stage in spec.stages.items():
        session = open_session("tensorrt", bundle / "fine.onnx", SessionOptions("cuda:0"))
        runner = Runner([session], kernels, Stopwatch(), lambda done, total: None)
        runs[name] = StageRun(stage, ScanView.of(ct, stage), runner, budget_bytes=budget)
    start = len(POOL.events)
    if "coarse" in runs:
        coarse_labels(runs["coarse"], ct.grid.whole)
    found = segment_box(runs["fine"], roi)
    kernels.download(found.labels)
    del found
    return POOL.events[start:]


SCANS = {
    "thin slices": ((61, 47, 53), (1.3, 1.9, 2.1), "int16"),
    "thick slices": ((13, 75, 69), (9.0, 1.2, 1.3), "int16"),
    "smaller than a patch": ((3, 19, 7), (3.0, 2.0, 2.0), "float32"),
    "on the network's grid": ((33, 41, 27), (3.0, 2.0, 2.0), "float32"),
}


def least_budget_mb(model: PlannedModel, scan: PlannedScan) -> int:
    for budget_mb in range(1, 10):
        try:
            plan_scan(model, scan, RunOptions(max_memory_mb=budget_mb))
        except BudgetError:
            continue
        return budget_mb
    raise AssertionError("10 MB are enough for these scans")


@pytest.mark.parametrize("is_tight", [False, True])
@pytest.mark.parametrize("name", SCANS)
def test_one_stage_allocates_what_its_plan_says(gpu: None, bundle: Path, name: str, is_tight: bool) -> None:
    shape, spacing_mm, dtype = SCANS[name]
    model, ct = one_stage(model_of(bundle)), smooth_ct(shape, spacing_mm, dtype)
    scan = PlannedScan.of(ct.grid, dtype)
    budget_mb = least_budget_mb(model, scan) if is_tight else None
    plan = plan_scan(model, scan, RunOptions(max_memory_mb=budget_mb))
    planned = [*plan.events]
    assert run_on_gpu(model.spec, bundle, plan, ct, Box((0, 0, 0), shape), budget_mb) == planned
    assert plan.network_bytes + max(accumulate(planned)) == plan.peak_bytes
    assert sum(planned) == 0
    assert budget_mb is None or plan.peak_bytes <= budget_mb * 1_000_000


def test_blocks_and_regions_and_a_turned_frame_are_planned_too(gpu: None, bundle: Path) -> None:
    changes = {"activation": "regions", "transpose_forward": (1, 2, 0), "spacing_mm": (2.1, 2.2, 3.3)}
    model, ct = one_stage(model_of(bundle, **changes)), smooth_ct((51, 57, 85), (2.9, 2.3, 2.2))
    plan = plan_scan(model, PlannedScan.of(ct.grid), RunOptions(max_memory_mb=3))
    assert any(a.operation == "copy" for a in plan.ledger.allocations)  # tiles are cut into blocks
    assert run_on_gpu(model.spec, bundle, plan, ct, Box((0, 0, 0), ct.grid.shape_zyx), 3) == [*plan.events]
    assert plan.peak_bytes <= 3_000_000


#: The box ends at the scan's last row of tiles; below it, where the ring stays open; where labels lack a tile that was left out.
@pytest.mark.parametrize("stop_z", [40, 18, 23])
def test_a_cascade_allocates_what_its_plan_says(gpu: None, bundle: Path, stop_z: int) -> None:
    """But for the numbering of pieces, whose arrays depend on the labels' boxes: there the plan is a bound."""
    model, ct, roi = model_of(bundle), smooth_ct((45, 67, 59), (2.0, 1.7, 1.9)), Box((5, 9, 11), (stop_z, 60, 42))
    plan = plan_scan(model, PlannedScan(ct.grid, "int16", roi), RunOptions())
    run, planned = run_on_gpu(model.spec, bundle, plan, ct, roi, None), [*plan.events]
    pieces = [a for a in plan.ledger.allocations if a.operation == "components"]
    before = planned.index(pieces[0].nbytes)
    after = len(planned) - 1 - planned[::-1].index(-pieces[0].nbytes)
    assert run[:before] == planned[:before]
    rest = len(planned) - after
    assert run[-rest:] == planned[-rest:]
    assert max(accumulate(run)) <= max(accumulate(planned))


def test_the_segmenter_runs_the_planned_run(gpu: None, bundle: Path) -> None:
    model, ct = one_stage(model_of(bundle)), smooth_ct((37, 45, 51), (2.6, 1.2, 1.1))
    plan = plan_scan(model, PlannedScan.of(ct.grid), RunOptions())
    with Segmenter.open(bundle, RunOptions(device="cuda:0", backend="tensorrt")) as segmenter:
        start = len(POOL.events)
        segmenter.segment(ct)
        assert POOL.events[start:] == [*plan.events]


def test_a_plan_that_forgets_a_buffer_is_caught(gpu: None, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ct = one_stage(model_of(bundle)), smooth_ct((37, 45, 51), (2.6, 1.2, 1.1))
    plan = plan_scan(model, PlannedScan.of(ct.grid), RunOptions())
    monkeypatch.setattr("flare_trt.engine.passes.predict.ring_planes", lambda plan, taps, is_kept: plan.padded_shape[0])
    run = run_on_gpu(model.spec, bundle, plan, ct, Box((0, 0, 0), ct.grid.shape_zyx), None)
    assert run != [*plan.events]


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("row", TABLE_4, ids=lambda row: row.case)
def test_every_scan_of_the_papers_table_4_stays_under_4_gb(row: object, mode: str) -> None:
    """The paper gives no spacing, so all of a body's are tried; the fine stage looks at the largest box that is let pass.

    mode=exact covers that box with the whole scan's tiles, whose rims need up to 50 MB more than there are: so it has a budget.
    """
    options = RunOptions(mode="fast") if mode == "fast" else RunOptions(max_memory_mb=3700)
    model, slices = paper_model(), row.slices  # type: ignore[attr-defined]
    for thickness_mm in (1.0, 2.5, 5.0):
        if slices * thickness_mm > 2000:
            continue
        grid = Grid((slices, 512, 512), (thickness_mm, 0.8, 0.8))
        plan = plan_scan(model, PlannedScan.of(grid), options)
        assert plan.peak_bytes / 1e6 + CONTEXT_MB < FLARE_MB
