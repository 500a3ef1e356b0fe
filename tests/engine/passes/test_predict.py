"""The streamed pass against a plain one that holds everything, and its bookkeeping."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.input_planes import ImageSource
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import PassPlan, plan_pass, ring_planes
from flare_trt.engine.passes.predict import LabelSink, Pass, Runner, predict, run_mirrored
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.tiles import gaussian
from flare_trt.kernels import Box, Span, load

KERNELS = load("reference")


def runner(stage: StageSpec, folds: int = 1) -> Runner:
    sessions = [FakeSession((1, 1, *stage.patch_zyx), len(stage.channel_values)) for _ in range(folds)]
    return Runner(sessions, KERNELS, Stopwatch(), lambda done, total: None)


def make_pass(stage: StageSpec, view: ScanView, plan: PassPlan) -> Pass:
    return Pass(stage, ImageSource.of(view, stage.inputs, KERNELS), plan, Layout(plan.patch_zyx[0], 7))


def plain(stage: StageSpec, ct: Volume, session: FakeSession) -> np.ndarray:
    """nnU-Net's way with whole arrays: resample all, blend all, resample all logits, arg-max (no ROI, no streaming)."""
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    image = KERNELS.normalise(KERNELS.upload(view.read(Box((0, 0, 0), view.shape_zyx))), stage.of_one_ct)
    spans = tuple(Span.whole(s, t) for s, t in zip(plan.source_shape, plan.network_shape, strict=True))
    image = KERNELS.resample_spline(image, spans, plan.image_orders, KERNELS.value_range(image))  # type: ignore[arg-type]
    padded = np.zeros(plan.padded_shape, np.float32)
    inner = tuple(slice(p, p + n) for p, n in zip(plan.pad_below, plan.network_shape, strict=True))
    padded[inner] = image
    logits = np.zeros((session.channels, *plan.padded_shape), np.float16)
    weights = np.zeros(plan.padded_shape, np.float16)
    for corner in product(*plan.starts_zyx):
        cut = tuple(slice(c, c + p) for c, p in zip(corner, stage.patch_zyx, strict=True))
        tile = np.ascontiguousarray(padded[cut])[None, None]
        KERNELS.blend(logits, weights, run_mirrored(session, tile, stage.mirror_axes), gaussian(stage.patch_zyx), corner)
    KERNELS.finish(logits, weights, (0, plan.padded_shape[0]))
    labels = np.zeros([len(plan.taps(a).lower) for a in range(3)], np.uint8)
    KERNELS.restore_argmax(logits, (plan.taps(0), plan.taps(1), plan.taps(2)), np.array(stage.channel_values, np.uint8), labels)
    return labels


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tile_step": 1.0},
        {"tile_step": 0.3},
        {"patch_zyx": (64, 24, 20)},
        {"patch_zyx": (16, 80, 90)},
        {"spacing_mm": (0.9, 1.5, 1.5)},
        {"spacing_mm": (9.0, 1.5, 1.5)},
        {"transpose_forward": (2, 0, 1)},
        {"orientation": "ILA"},
        {"mirror_axes": (0, 2)},
        {"logits_order": 0},
    ],
)
def test_streaming_changes_nothing(changes: dict[str, object], make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(**changes)
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    run = runner(stage)
    streamed, _ = predict(make_pass(stage, view, plan), run, LabelSink.source(plan))
    np.testing.assert_array_equal(streamed, plain(stage, ct, run.sessions[0]))  # type: ignore[arg-type]
    assert len(np.unique(streamed)) == 5


def test_the_ring_is_about_a_patch_high(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(patch_zyx=(8, 24, 20))
    plan = plan_pass(stage, ScanView.of(ct, stage), ct.grid.whole)
    assert len(plan.starts_zyx[0]) > 5
    assert ring_planes(plan, plan.taps(0)) <= 8 + 2


def test_an_roi_sees_the_same_voxels_as_the_whole_scan(make_stage: MakeStage, ct: Volume) -> None:
    """The fake network has no context, so an ROI must equal the whole run to the voxel."""
    stage = make_stage()
    view = ScanView.of(ct, stage)
    run = runner(stage)
    whole_plan = plan_pass(stage, view, view.whole)
    whole, _ = predict(make_pass(stage, view, whole_plan), run, LabelSink.source(whole_plan))
    for box in (Box((3, 7, 11), (30, 29, 50)), Box((0, 0, 0), (4, 45, 9)), Box((36, 44, 50), (37, 45, 51))):
        plan = plan_pass(stage, view, box)
        found, _ = predict(make_pass(stage, view, plan), run, LabelSink.source(plan))
        equal = (found == whole[box.slices]).mean()
        assert equal > 0.999, box


def test_folds_are_averaged(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    one, _ = predict(make_pass(stage, view, plan), runner(stage), LabelSink.source(plan))
    three, _ = predict(make_pass(stage, view, plan), runner(stage, folds=3), LabelSink.source(plan))
    assert (one == three).mean() > 0.999


@pytest.mark.parametrize("splits", [(2, 1), (1, 3), (4, 5)])
@pytest.mark.parametrize("changes", [{}, {"patch_zyx": (16, 80, 90)}])
def test_blocks_change_nothing(splits: tuple[int, int], changes: dict[str, object], make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(**changes)
    view = ScanView.of(ct, stage)
    work = make_pass(stage, view, plan_pass(stage, view, view.whole))
    sink = LabelSink.source(work.plan)
    cut = replace(work, layout=replace(work.layout, splits_yx=splits))
    np.testing.assert_array_equal(predict(cut, runner(stage), sink)[0], predict(work, runner(stage), sink)[0])


def test_regions_paint_in_order(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(activation="regions", channel_values=(4, 2, 1))
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    run = runner(stage)
    logits = [FakeShift(s) for s in run.sessions]  # type: ignore[arg-type]
    found, _ = predict(make_pass(stage, view, plan), replace(run, sessions=logits), LabelSink.source(plan))
    assert set(np.unique(found)) == {0, 1, 2, 4}


class FakeShift:
    """The fake network, its logits lifted so that each region is positive somewhere."""

    def __init__(self, inner: FakeSession) -> None:
        self.backend, self.device, self.precision = inner.backend, inner.device, inner.precision
        self.input_shape, self.channels, self._inner = inner.input_shape, inner.channels, inner

    def run(self, tile: np.ndarray) -> np.ndarray:
        return np.asarray(self._inner.run(tile) + np.float32(0.8))

    def close(self) -> None:
        self._inner.close()


def test_network_labels_lie_on_the_window(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    found, _ = predict(make_pass(stage, view, plan), runner(stage), LabelSink.network(plan))
    assert found.shape == plan.window.shape_zyx == plan.network_shape


def test_progress_counts_every_tile(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    view = ScanView.of(ct, stage)
    plan = plan_pass(stage, view, view.whole)
    seen: list[tuple[int, int]] = []
    run = replace(runner(stage), progress=lambda done, total: seen.append((done, total)))
    predict(make_pass(stage, view, plan), run, LabelSink.source(plan))
    assert seen == [(i + 1, plan.tile_count) for i in range(plan.tile_count)]


def test_plan_is_a_plan(make_stage: MakeStage, ct: Volume) -> None:
    plan = plan_pass(make_stage(), ScanView.of(ct, make_stage()), ct.grid.whole)
    assert isinstance(plan, PassPlan)
    assert plan.network_shape == (48, 36, 37)
    assert plan.padded_shape == (48, 36, 37)
    assert plan.pad_below == (0, 0, 0)
