"""One stage over a box of a scan, and over a box that grows: what the tiles have settled is never computed again.

With the whole scan's raster, tiles hang over the rim of a box. The labels that they settle there (`StagePlan.settled`) are restored
too, so a box that grows into them needs no tile. Where it grows further, a slab from the settled labels on is segmented.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import Raster
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.input_planes import ImageSource
from flare_trt.engine.passes.logits_ring import Ring
from flare_trt.engine.passes.pass_memory import Footprint, choose_layout, stage_memory
from flare_trt.engine.passes.pass_plan import StagePlan, plan_stage, rim, ring_planes
from flare_trt.engine.passes.predict import LabelSink, Pass, Resumed, Runner, predict_open
from flare_trt.engine.passes.scan_view import Frame
from flare_trt.kernels import Box
from flare_trt.kernels.contract import Array


@dataclass(frozen=True)
class StageRun:
    """A stage as it is run, what it runs on, and the bytes that a pass may take (None: as many as are quickest).

    `search` gives the box that is looked at where no ROI is known: the whole scan, or the patient's box in mode=fast. `raster`
    is which tiles a box is covered with, see stage_plan.Raster.
    """

    stage: StageSpec
    runner: Runner
    budget_bytes: int | None = None
    search: Callable[[Volume], Box] = lambda ct: ct.grid.whole
    raster: Raster = "scan"


@dataclass(frozen=True)
class BoxLabels:
    """Labels on the scan, on the kernels' device, and the tiles run for them.

    `held` is the box of the frame that they fill, `settled` the part of it that no further tile would change. `open_pass` holds the
    ring that the raster's next row of tiles could go on from.
    """

    labels: Array
    held: Box
    settled: Box
    tiles: int
    open_pass: OpenPass | None = None


@dataclass(frozen=True)
class OpenPass:
    """The ring that a pass left, the pass' plan, and the box of the frame whose tiles are in the ring."""

    ring: Ring
    plan: StagePlan
    box: Box


def segment_box(run: StageRun, ct: Volume, box: Box) -> BoxLabels:
    """Labels of a box of the scan, and what else its tiles settle."""
    frame, kernels = Frame.of(ct, run.stage), run.runner.kernels
    roi = frame.from_source(box)
    if 0 in roi.shape_zyx:
        return BoxLabels(kernels.zeros(ct.grid.shape_zyx, np.uint8), roi, roi, 0)
    work = plan_pass(run, frame, roi)
    found, ring = predict_open(work, run.runner, LabelSink.source(work.plan))
    with run.runner.watch.stage("restore"):
        labels = frame.labels_on_scan(found, work.plan.target, kernels)
    return BoxLabels(labels, work.plan.target, work.plan.settled, _tiles(run, work), _left_open(ring, work, work.plan.target))


def grow_box(run: StageRun, ct: Volume, known: BoxLabels, box: Box) -> BoxLabels:
    """The labels of a larger box, with the whole scan's raster: slab by slab, or all anew where that takes fewer tiles.

    The labels that are known are written to.
    """
    frame = Frame.of(ct, run.stage)
    roi = frame.from_source(box)
    works = [(slab, _slab_pass(run, frame, known, slab)) for slab in _missing(known, roi)]
    if 0 in known.held.shape_zyx or sum(work.tile_count for _, work in works) > plan_stage(run.stage, frame, roi).tile_count:
        _free(known)
        anew = segment_box(run, ct, box)
        return replace(anew, tiles=known.tiles + anew.tiles)
    for slab, work in works:
        known = _with_slab(run, known, slab, work)
    return known


def plan_pass(run: StageRun, frame: Frame, roi: Box | None = None) -> Pass:
    """Sizes and layout of a pass over the frame or its box `roi`, with the labels that it settles beside it. Raises BudgetError."""
    plan = plan_stage(run.stage, frame, roi, run.raster)
    return _laid_out(run, frame, replace(plan, target=plan.target.hull(plan.settled)))


def _laid_out(run: StageRun, frame: Frame, plan: StagePlan) -> Pass:
    sessions = run.runner.sessions
    voxels, itemsize = math.prod(frame.ct.grid.shape_zyx), frame.ct.array.dtype.itemsize
    footprint = Footprint(len(sessions), sessions[0].channels, voxels, itemsize, bool(run.stage.mirror_axes))
    closed = replace(plan, open_from=plan.padded_shape[0])
    layout = choose_layout(closed, footprint, run.budget_bytes).layout
    too_much = run.budget_bytes is not None and stage_memory(plan, footprint, layout).peak_bytes > run.budget_bytes
    plan = closed if too_much or layout.splits_yx != (1, 1) else plan  # an open ring is a little larger, and must be whole
    return Pass(run.stage, ImageSource.of(frame, run.stage.intensity), plan, layout)


@dataclass(frozen=True)
class _Slab:
    """What a box grows by on one side of an axis. `is_above`: behind the labels that are known, not in front of them."""

    box: Box
    axis: int
    is_above: bool


def _missing(known: BoxLabels, roi: Box) -> list[_Slab]:
    """Slabs of the frame that make what is held a box that holds `roi`, each from the settled labels on; upwards first."""
    slabs, held = [], known.held
    for axis in range(3):
        (low, high), (first, last) = held.ranges[axis], roi.ranges[axis]
        if last > high:
            slabs.append(_Slab(held.along(axis, known.settled.stop_zyx[axis], last), axis, True))
        if first < low:
            slabs.append(_Slab(held.along(axis, first, known.settled.start_zyx[axis]), axis, False))
        held = held.along(axis, min(first, low), max(last, high))
    return slabs


def _slab_pass(run: StageRun, frame: Frame, known: BoxLabels, slab: _Slab) -> Pass:
    """The pass that gives a slab's labels: it goes on from an open ring where one fits, and else reaches back.

    It reaches back so far that no tile is left out (see stage_plan) that has a part in the slab itself.
    """
    resumed = _resumed_pass(run, frame, known, slab)
    if resumed is not None:
        return resumed
    axis, size = slab.axis, frame.shape_zyx[slab.axis]
    back = math.ceil(rim(run.stage.patch_zyx[axis]) * run.stage.spacing_mm[axis] / frame.spacing_mm[axis]) + 2
    low, high = slab.box.ranges[axis]
    low, high = (max(0, low - back), high) if slab.is_above else (low, min(size, high + back))
    return plan_pass(run, frame, slab.box.along(axis, low, high))


def _resumed_pass(run: StageRun, frame: Frame, known: BoxLabels, slab: _Slab) -> Pass | None:
    """The pass over what is held and the slab above it, its lower rows of tiles already in the open ring."""
    if known.open_pass is None or known.open_pass.ring.is_free or slab.axis != 0 or not slab.is_above:
        return None
    ring, before = known.open_pass.ring, known.open_pass.plan
    plan = plan_stage(run.stage, frame, known.open_pass.box.hull(slab.box))
    rows, top = len(before.starts_zyx[0]), max(slab.box.stop_zyx[0], plan.settled.stop_zyx[0])
    plan = replace(plan, target=plan.target.hull(plan.settled).along(0, slab.box.start_zyx[0], top))
    work = _laid_out(run, frame, plan)
    tiles_before = (plan.starts_zyx[0][:rows], *plan.starts_zyx[1:])
    fits = tiles_before == before.starts_zyx and plan.window.start_zyx == before.window.start_zyx
    if not fits or work.layout.splits_yx != (1, 1):
        return None
    return replace(work, resumed=Resumed(ring, rows)) if ring.capacity >= ring_planes(plan, plan.taps(0)) else None


def _with_slab(run: StageRun, known: BoxLabels, slab: _Slab, work: Pass) -> BoxLabels:
    """Segment the slab and write its labels, and what else its tiles settle behind it, beside those that are known."""
    if work.resumed is None:
        _free(known)
    axis, frame, target, settled = slab.axis, work.source.frame, work.plan.target, work.plan.settled
    found, ring = predict_open(work, run.runner, LabelSink.source(work.plan))
    if slab.is_above:
        new = target.along(axis, slab.box.start_zyx[axis], target.stop_zyx[axis])
        span = known.settled.start_zyx[axis], settled.stop_zyx[axis]
    else:
        new = target.along(axis, target.start_zyx[axis], slab.box.stop_zyx[axis])
        span = settled.start_zyx[axis], known.settled.stop_zyx[axis]
    with run.runner.watch.stage("restore"):
        known.labels[frame.to_source(new).slices] = frame.turn.undo(found[new.shifted(target.start_zyx, -1).slices])
    held = known.held.common(target).along(axis, *known.held.hull(new).ranges[axis])
    settled = known.settled.common(settled).along(axis, *span)
    covered = known.open_pass.box.hull(target) if known.open_pass and work.resumed else target
    return BoxLabels(known.labels, held, settled, known.tiles + _tiles(run, work), _left_open(ring, work, covered))


def _left_open(ring: Ring | None, work: Pass, box: Box) -> OpenPass | None:
    return OpenPass(ring, work.plan, box) if ring is not None else None


def _free(known: BoxLabels) -> None:
    """Let the ring go before another pass takes its memory."""
    if known.open_pass is not None:
        known.open_pass.ring.free()


def _tiles(run: StageRun, work: Pass) -> int:
    return work.tile_count * len(run.runner.sessions)
