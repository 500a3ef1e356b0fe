"""Which tiles a region of interest is covered with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume, ct_volume
from flare_trt.engine.model.modes import Raster
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.input_planes import ImageSource
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import PassPlan, _touching, plan_pass
from flare_trt.engine.passes.predict import LabelSink, Pass, Runner, predict
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, load

SHAPE = (61, 83, 75)
BOXES = (
    Box((20, 30, 31), (40, 55, 50)),
    Box((0, 0, 0), (11, 83, 9)),
    Box((55, 60, 2), (61, 83, 75)),
    Box((33, 41, 37), (34, 42, 38)),
)
KERNELS = load("reference")


class SeesItsTile(FakeSession):
    """A network whose logits hang on the whole tile, as InstanceNorm makes them."""

    def run(self, tile: np.ndarray) -> np.ndarray:
        return super().run(np.ascontiguousarray(tile - np.float32(0.7) * tile.mean(dtype=np.float32)))


@pytest.fixture
def ct() -> Volume:
    hu = np.random.default_rng(5).normal(40, 150, SHAPE)
    hu += 200 * np.sin(np.arange(SHAPE[0]) / 9)[:, None, None] + 150 * np.cos(np.arange(SHAPE[2]) / 7)
    return ct_volume(hu.astype(np.int16), Grid(SHAPE, (2.5, 1.7, 1.6)))


def absolute(plan: PassPlan, axis: int) -> list[int]:
    return [plan.window.start_zyx[axis] + start for start in plan.starts_zyx[axis]]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("step", [0.5, 0.75, 1.0])
def test_the_scan_s_raster_gives_tiles_of_the_whole_scan_that_cover_the_box(
    make_stage: MakeStage, ct: Volume, box: Box, step: float
) -> None:
    stage = replace(make_stage(), tile_step=step)
    view = ScanView.of(ct, stage)
    whole, plan = plan_pass(stage, view, view.whole), plan_pass(stage, view, box, "scan")
    for axis in range(3):
        starts, taps = absolute(plan, axis), plan.taps(axis, padded=False)
        assert set(starts) <= set(absolute(whole, axis))
        covered = {place for start in plan.starts_zyx[axis] for place in range(start, start + stage.patch_zyx[axis])}
        assert {int(n) for side in (taps.lower, taps.upper) for n in side} <= covered
        assert len(starts) == 1 or plan.window.stop_zyx[axis] == starts[-1] + stage.patch_zyx[axis]
    assert plan.tile_count <= whole.tile_count
    assert plan_pass(stage, view, box, "box").tile_count <= plan.tile_count


@pytest.mark.parametrize(
    ("needed", "kept"),
    [
        ((0, 100), (0, 24, 48)),  # the whole scan
        ((45, 70), (24, 48)),  # the first tile reaches 3 samples in, the second one covers them
        ((41, 70), (0, 24, 48)),  # 7 samples are more than an eighth of 48
        ((26, 53), (0, 24)),  # the last tile would give 5 samples
        ((26, 55), (0, 24, 48)),
        ((50, 51), (24,)),
    ],
)
def test_a_tile_whose_rim_alone_reaches_the_box_is_left_out(needed: tuple[int, int], kept: tuple[int, ...]) -> None:
    assert _touching((0, 24, 48), 48, needed) == kept


def test_side_by_side_tiles_are_never_left_out() -> None:
    assert _touching((0, 48, 96), 48, (47, 97)) == (0, 48, 96)


def labels_of(stage: StageSpec, ct: Volume, box: Box, raster: Raster) -> np.ndarray:
    plan = plan_pass(stage, ScanView.of(ct, stage), box, raster)
    run = Runner([SeesItsTile((1, 1, *stage.patch_zyx), len(stage.channel_values))], KERNELS, Stopwatch(), lambda done, total: None)
    source = ImageSource.of(ScanView.of(ct, stage), stage.inputs, KERNELS)
    return predict(Pass(stage, source, plan, Layout(plan.padded_shape[0], 7)), run, LabelSink.source(plan))[0]


def test_a_network_with_context_gives_the_whole_scan_s_labels_in_the_box(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    everything = labels_of(stage, ct, Box((0, 0, 0), SHAPE), "scan")
    assert len(np.unique(everything)) > 2
    for box in BOXES:
        assert (labels_of(stage, ct, box, "scan") == everything[box.slices]).mean() > 0.98, box
    box = BOXES[0]
    assert (labels_of(stage, ct, box, "box") == everything[box.slices]).mean() < 0.97, "else this test shows nothing"
