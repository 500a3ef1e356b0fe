"""What is decided about a scan before its first tile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import FastSpec, ModelSpec
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.roi.scan_run import ScanRun
from flare_trt.kernels import Box, load


@pytest.fixture
def body() -> Volume:
    """A body of 0 HU in air, away from the scan's sides."""
    hu = np.full((40, 60, 70), -1000, np.int16)
    hu[:, 20:44, 22:50] = 0
    return Volume(hu, Grid(hu.shape, (4.0, 3.0, 3.5)))


def run_of(ct: Volume, spec: ModelSpec, options: RunOptions, budget_bytes: int | None = None) -> ScanRun:
    def runner(name: str) -> Runner:
        stage = spec.stages[name]
        session = FakeSession((1, 1, *stage.patch_zyx), len(stage.channel_values))
        return Runner([session], load("reference"), Stopwatch(), lambda done, total: None)

    return ScanRun.of(ct, spec, options, {name: runner(name) for name in spec.stages}, budget_bytes)


def test_exact_looks_at_the_whole_scan_and_fast_at_the_body(body: Volume) -> None:
    exact, fast = (run_of(body, fake_spec(coarse=True), RunOptions(mode)) for mode in ("exact", "fast"))
    assert exact.search_box == body.grid.whole
    assert fast.search_box == Box((0, 15, 17), (40, 49, 55))
    assert [run.fine.raster for run in (exact, fast)] == ["scan", "box"]


def test_stages_are_those_of_the_bundle_as_the_options_change_them(body: Volume) -> None:
    spec = fake_spec(coarse=True)
    spec = replace(spec, fine=replace(spec.fine, fast=FastSpec(spacing_mm=(5.0, 4.0, 4.0)), mirror_axes=(1,)))
    fast, mirrored = run_of(body, spec, RunOptions("fast")), run_of(body, spec, RunOptions(mirror=True))
    assert (fast.fine.stage.spacing_mm, fast.fine.stage.mirror_axes) == ((5.0, 4.0, 4.0), ())
    assert mirrored.fine.stage == spec.fine
    assert mirrored.coarse is not None
    assert run_of(body, fake_spec(coarse=False), RunOptions()).coarse is None


def test_a_budget_too_small_for_the_whole_scan_is_refused_at_once(body: Volume) -> None:
    with pytest.raises(BudgetError, match="raise --max-memory"):
        run_of(body, fake_spec(coarse=True), RunOptions(), 50_000)
    run = run_of(body, fake_spec(coarse=True), RunOptions(), 50_000_000)
    assert run.coarse is not None
    assert (run.fine.budget_bytes, run.coarse.budget_bytes) == (50_000_000, 50_000_000)
