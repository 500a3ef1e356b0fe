"""A box that grows: its labels are the whole scan's to the voxel, and what its tiles have settled is not computed again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import MakeStage

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.networks.fake import FakeSession
from flare_trt.engine.passes.growing_box import BoxLabels, grow_box, segment_box
from flare_trt.engine.passes.pass_plan import plan_pass
from flare_trt.engine.passes.predict import Runner
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.kernels import Box, Kernels, load, native_problem

KERNELS = load("reference" if native_problem() else "native")
SHAPE = (71, 37, 33)
WHOLE = Box((0, 0, 0), SHAPE)
MIDDLE = Box((27, 0, 3), (39, 37, 29))  # its tiles reach the scan's sides in y and x, as those of an abdomen do


class CountsTiles(FakeSession):
    """A network whose logits hang on the whole tile, as InstanceNorm makes them; it notes which tiles it has seen."""

    def __init__(self, stage: StageSpec) -> None:
        super().__init__((1, 1, *stage.patch_zyx), len(stage.channel_values))
        self.seen: Counter[bytes] = Counter()

    def run(self, tile: np.ndarray) -> np.ndarray:
        self.seen[np.round(tile[0, 0, ::5, ::5, ::5], 3).tobytes()] += 1
        return super().run(np.ascontiguousarray(tile - np.float32(0.7) * tile.mean(dtype=np.float32)))


@pytest.fixture
def ct() -> Volume:
    hu = np.random.default_rng(5).normal(40, 120, SHAPE)
    hu += 200 * np.sin(np.arange(SHAPE[0]) / 9)[:, None, None] + 150 * np.cos(np.arange(SHAPE[2]) / 7)
    return Volume(hu.astype(np.int16), Grid(SHAPE, (2.3, 1.7, 1.6)))


def run_of(stage: StageSpec, ct: Volume, budget_bytes: int | None = None) -> tuple[StageRun, CountsTiles]:
    session = CountsTiles(stage)
    return run_with(session, stage, ct, KERNELS, budget_bytes), session


def run_with(session: FakeSession, stage: StageSpec, ct: Volume, kernels: Kernels, budget_bytes: int | None = None) -> StageRun:
    runner = Runner([session], kernels, Stopwatch(), lambda done, total: None)
    return StageRun(stage, ScanView.of(ct, stage), runner, budget_bytes=budget_bytes)


def grown(run: StageRun, *boxes: Box) -> BoxLabels:
    """Labels of the first box, grown to the others one after another; after each they are the whole scan's where settled."""
    view = run.view
    everything = segment_box(run_of(run.stage, view.ct)[0], view.ct.grid.whole).labels
    known = segment_box(run, boxes[0])
    assert len(np.unique(everything)) > 2
    for box in boxes[1:]:
        known = grow_box(run, known, box, ())
        settled = view.to_source(known.settled).slices
        np.testing.assert_array_equal(known.labels[settled], everything[settled])
        beyond = known.labels.copy()
        beyond[view.to_source(known.written).slices] = 0
        assert not beyond.any()
        held, wanted = known.held, view.from_source(box)
        assert np.less_equal(held.start_zyx, wanted.start_zyx).all()
        assert np.greater_equal(held.stop_zyx, wanted.stop_zyx).all()
    return known


def tiles_of(stage: StageSpec, ct: Volume, box: Box) -> int:
    view = ScanView.of(ct, stage)
    return plan_pass(stage, view, view.from_source(box)).tile_count


def to(box: Box, **changes: int) -> Box:
    """The box with another first or last plane."""
    (z0, *start), (z1, *stop) = box.start_zyx, box.stop_zyx
    return Box((changes.get("z0", z0), *start), (changes.get("z1", z1), *stop))  # type: ignore[arg-type]  # three axes


@pytest.mark.parametrize("step", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("patch", [(16, 24, 20), (25, 31, 40)])
def test_a_box_that_grows_upwards_runs_no_tile_twice(
    make_stage: MakeStage, ct: Volume, step: float, patch: tuple[int, int, int]
) -> None:
    stage = make_stage(tile_step=step, patch_zyx=patch)
    run, session = run_of(stage, ct)
    known = grown(run, MIDDLE, *(to(MIDDLE, z1=top) for top in (43, 49, 60, 71)))
    assert max(session.seen.values()) == 1
    assert known.tiles == session.seen.total() <= tiles_of(stage, ct, WHOLE)


def test_what_the_tiles_have_settled_costs_nothing(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage(patch_zyx=(16, 40, 40), tile_step=1.0)
    run, session = run_of(stage, ct)
    first = segment_box(run, Box((27, 9, 9), (39, 20, 21)))
    before = session.seen.total()
    assert grow_box(run, first, MIDDLE, ()).tiles == first.tiles == before == session.seen.total()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"orientation": "ILA"},
        {"transpose_forward": (1, 2, 0)},
        {"logits_order": 0},
        {"tile_step": 0.3},
        {"spacing_mm": (2.9, 1.3, 1.4)},
    ],
)
def test_a_box_may_grow_on_any_side_and_to_the_whole_scan(make_stage: MakeStage, ct: Volume, changes: dict[str, object]) -> None:
    run, _ = run_of(make_stage(**changes), ct)
    start = Box((27, 11, 9), (39, 20, 21))
    known = grown(
        run,
        start,
        to(start, z0=19),
        to(start, z0=12, z1=46),
        Box((12, 4, 9), (46, 37, 21)),
        Box((12, 4, 0), (46, 37, 33)),
        WHOLE,
    )
    assert known.settled == known.held == run.view.from_source(WHOLE)


def test_a_box_that_grows_downwards_runs_the_rows_at_the_seam_again(make_stage: MakeStage, ct: Volume) -> None:
    stage = make_stage()
    run, _ = run_of(stage, ct)
    start, lower = to(MIDDLE, z1=71), Box((0, 0, 3), (71, 37, 29))
    known = grown(run, start, lower)
    row = tiles_of(stage, ct, Box((0, 0, 3), (1, 37, 29)))
    assert known.tiles <= tiles_of(stage, ct, lower) + 2 * row


def test_where_slabs_would_take_more_tiles_the_box_is_segmented_anew(make_stage: MakeStage, ct: Volume) -> None:
    run, _ = run_of(replace(make_stage(), tile_step=0.3), ct)
    corner = Box((30, 15, 13), (33, 18, 16))
    first = segment_box(run, corner)
    known = grown(run, corner, WHOLE)
    assert known.tiles <= first.tiles + tiles_of(run.stage, ct, WHOLE)


def test_a_box_outside_of_the_scan_s_content_grows_too(make_stage: MakeStage) -> None:
    hu = np.zeros(SHAPE, np.int16)
    hu[20:50] = np.random.default_rng(3).normal(40, 120, (30, *SHAPE[1:]))
    ct = Volume(hu, Grid(SHAPE, (2.3, 1.7, 1.6)))
    run, _ = run_of(make_stage(), ct)
    grown(run, Box((60, 0, 0), (71, 37, 33)), Box((40, 0, 0), (71, 37, 33)), WHOLE)


@pytest.mark.parametrize(("budget_bytes", "is_open"), [(1_000_000, False), (1_150_000, False), (1_200_000, True)])
def test_a_small_budget_costs_tiles_and_no_labels(make_stage: MakeStage, ct: Volume, budget_bytes: int, is_open: bool) -> None:
    """The first budget does for two blocks, the second for one whose ring is closed, the third for one whose ring stays open."""
    run, session = run_of(make_stage(), ct, budget_bytes)
    assert (segment_box(run, MIDDLE).open_pass is not None) == is_open
    session.seen.clear()
    grown(run, MIDDLE, to(MIDDLE, z1=50))
    assert (max(session.seen.values()) == 1) == is_open


def test_a_ring_that_stays_open_is_let_go_before_another_pass(make_stage: MakeStage, ct: Volume) -> None:
    run, _ = run_of(make_stage(), ct)
    known = segment_box(run, MIDDLE)
    assert known.open_pass is not None
    grow_box(run, known, to(MIDDLE, z0=10), ())
    assert known.open_pass.ring.is_free


def test_on_the_gpu_path(gpu: None, make_stage: MakeStage) -> None:
    hu = np.random.default_rng(5).normal(40, 120, (45, 23, 19)).astype(np.int16)
    ct = Volume(hu, Grid((45, 23, 19), (2.3, 1.7, 1.6)))
    stage = make_stage(patch_zyx=(16, 40, 40))
    kernels = load("cuda")

    class OnDevice(CountsTiles):
        def run(self, tile: np.ndarray) -> np.ndarray:
            return kernels.upload(super().run(kernels.download(tile)))

    session = OnDevice(stage)
    run = run_with(session, stage, ct, kernels)
    known = segment_box(run, Box((10, 0, 0), (18, 23, 19)))
    for top in (25, 31, 45):
        known = grow_box(run, known, Box((10, 0, 0), (top, 23, 19)), ())
    assert max(session.seen.values()) == 1
    known = grow_box(run, known, Box((0, 0, 0), (45, 23, 19)), ())
    everything = segment_box(run, Box((0, 0, 0), (45, 23, 19)))
    np.testing.assert_array_equal(kernels.download(known.labels), kernels.download(everything.labels))
