"""Labels of a box that grows: what the tiles have settled is never computed again.

With the whole scan's raster, tiles hang over the rim of a box. The labels that they settle there are restored too, so a box that
grows into them needs no tile. Where it grows further, a slab from the settled labels on is segmented; upwards that goes on from
the ring of logits that the pass before left, as if there had been no break. A box with tiles of its own grows by slabs that stand
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.logits_ring import Ring
from flare_trt.engine.passes.pass_memory import pass_memory
from flare_trt.engine.passes.pass_plan import PassPlan, plan_pass, rim, ring_planes
from flare_trt.engine.passes.predict import Pass, Resumed, predict
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.passes.tiles import tile_starts
from flare_trt.kernels import Box
from flare_trt.kernels.contract import Array


@dataclass(frozen=True)
class BoxLabels:
    """Labels on the scan, on the kernels' device, and the tiles run for them.

    `held` is the box of the view that they fill, `settled` the part of it that no further tile would change. Beyond `written` all
    labels are 0 as they were made. `open_pass` holds the ring that the raster's next row of tiles could go on from.
    """

    labels: Array
    held: Box
    settled: Box
    written: Box
    tiles: int
    open_pass: OpenPass | None = None


@dataclass(frozen=True)
class OpenPass:
    """The ring that a pass left, the pass' plan, and the box of the view whose tiles are in the ring."""

    ring: Ring
    plan: PassPlan
    box: Box


@dataclass(frozen=True)
class _Settling:
    """A pass, and the box of the view whose labels no tile that it leaves out has a part in."""

    work: Pass
    settled: Box


def segment_box(run: StageRun, box: Box) -> BoxLabels:
    """Labels of a box of the scan, and with the whole scan's raster what else its tiles settle. Raises BudgetError."""
    roi, kernels = run.view.from_source(box), run.runner.kernels
    if 0 in roi.shape_zyx:
        return BoxLabels(kernels.zeros(run.view.ct.grid.shape_zyx, run.stage.label_dtype), roi, roi, roi, 0)
    return _segmented(run, _pass_over(run, roi))


def grow_box(run: StageRun, known: BoxLabels, box: Box, slabs: Sequence[Box]) -> BoxLabels:
    """The labels of a larger box of the scan; `slabs` are what it grows by, with what they need to see of the box before.

    With the whole scan's raster the slabs are found here, from the settled labels on, and the box is segmented anew where that
    takes fewer tiles. The labels that are known are written to.
    """
    if run.raster == "box":
        for part in slabs:
            found = segment_box(run, part)
            known.labels[part.slices] = found.labels[part.slices]
            known = replace(known, written=known.written.hull(found.written), tiles=known.tiles + found.tiles)
        return known
    if 0 in known.held.shape_zyx:
        return segment_box(run, box)
    roi = run.view.from_source(box)
    works = [(slab, _slab_pass(run, known, slab)) for slab in _missing(known, roi)]
    anew = _pass_over(run, roi)
    if sum(settling.work.tile_count for _, settling in works) > anew.work.tile_count:
        _free(known)
        found = _segmented(run, anew)
        return replace(found, tiles=known.tiles + found.tiles)
    for slab, settling in works:
        known = _with_slab(run, known, slab, settling)
    return known


def _pass_over(run: StageRun, roi: Box) -> _Settling:
    """The pass over a box of the view, with the labels that it settles beside it."""
    if run.raster == "box" or roi == run.view.whole:
        return _Settling(run.pass_over(roi), roi)
    plan = plan_pass(run.stage, run.view, roi)
    settled = settled_by(plan, run.stage)
    return _Settling(_left_open(run, replace(plan, target=roi.hull(settled))), settled)


def settled_by(plan: PassPlan, stage: StageSpec) -> Box:
    """Source voxels that read samples of the window which no tile of the whole scan's raster beyond it reaches.

    It may reach beyond the target, and lacks a rim of it where a tile was left out; an empty range lies at the target's start.
    """
    settled = [(start, start) for start in plan.target.start_zyx]
    for axis, (low, high) in enumerate(plan.window.ranges):
        source, size, patch = plan.source_shape[axis], plan.network_shape[axis], stage.patch_zyx[axis]
        if size > patch:
            starts = tile_starts(size, patch, stage.step_along(axis))
            low, high = (
                max((start + patch for start in starts if start < low), default=0),
                min((start for start in starts if start + patch > high), default=size),
            )
        lower = np.floor((np.arange(source) + 0.5) * (size / source) - 0.5)
        inside = np.flatnonzero(((lower >= low) | (low == 0)) & ((lower + 2 <= high) | (high == size)))
        if len(inside):
            settled[axis] = int(inside[0]), int(inside[-1]) + 1
    return Box.spanning(settled)


def _left_open(run: StageRun, plan: PassPlan) -> Pass:
    """The pass of a plan; its ring is kept where the raster has a further row of tiles, the ring is whole and memory allows."""
    work, size, patch = run.laid_out(plan), plan.network_shape[0], run.stage.patch_zyx[0]
    low, high = plan.window.ranges[0]
    starts = tile_starts(size, patch, run.stage.step_along(0)) if size > patch else ()
    beyond = [start - low for start in starts if start < high < start + patch]
    if not beyond or work.layout.splits_yx != (1, 1):
        return work
    peak_bytes = pass_memory(plan, run.footprint, work.layout, beyond[0]).peak_bytes
    return work if run.budget_bytes is not None and peak_bytes > run.budget_bytes else replace(work, keep_from=beyond[0])


def _segmented(run: StageRun, settling: _Settling) -> BoxLabels:
    work, view = settling.work, run.view
    found, ring = predict(work, run.runner, run.sink(work.plan, work.plan.target))
    with run.runner.watch.phase("restore"):
        labels = view.labels_on_scan(found, work.plan.target, run.runner.kernels)
    open_pass = OpenPass(ring, work.plan, work.plan.target) if ring is not None else None
    target = work.plan.target
    return BoxLabels(labels, target, settling.settled, target, run.tiles(work), open_pass)


@dataclass(frozen=True)
class _Slab:
    """What a box grows by on one side of an axis. `is_above`: behind the labels that are known, not in front of them."""

    box: Box
    axis: int
    is_above: bool


def _missing(known: BoxLabels, roi: Box) -> list[_Slab]:
    """Slabs of the view that make what is held a box that holds `roi`, each from the settled labels on; upwards first."""
    slabs, held = [], known.held
    for axis in range(3):
        (low, high), (first, last) = held.ranges[axis], roi.ranges[axis]
        if last > high:
            slabs.append(_Slab(held.along(axis, known.settled.stop_zyx[axis], last), axis, True))
        if first < low:
            slabs.append(_Slab(held.along(axis, first, known.settled.start_zyx[axis]), axis, False))
        held = held.along(axis, min(first, low), max(last, high))
    return slabs


def _slab_pass(run: StageRun, known: BoxLabels, slab: _Slab) -> _Settling:
    """The pass that gives a slab's labels: it goes on from an open ring where one fits, and else reaches back.

    It reaches back so far that no tile is left out (see pass_plan) that has a part in the slab itself.
    """
    resumed = _resumed_pass(run, known, slab)
    if resumed is not None:
        return resumed
    axis, view = slab.axis, run.view
    back = math.ceil(rim(run.stage.patch_zyx[axis]) * run.stage.spacing_mm[axis] / view.spacing_mm[axis]) + 2
    low, high = slab.box.ranges[axis]
    low, high = (max(0, low - back), high) if slab.is_above else (low, min(view.shape_zyx[axis], high + back))
    return _pass_over(run, slab.box.along(axis, low, high))


def _resumed_pass(run: StageRun, known: BoxLabels, slab: _Slab) -> _Settling | None:
    """The pass over what is held and the slab above it, its lower rows of tiles already in the open ring."""
    if known.open_pass is None or known.open_pass.ring.is_free or slab.axis != 0 or not slab.is_above:
        return None
    ring, before = known.open_pass.ring, known.open_pass.plan
    plan = plan_pass(run.stage, run.view, known.open_pass.box.hull(slab.box))
    settled, rows = settled_by(plan, run.stage), len(before.starts_zyx[0])
    tiles_before = (plan.starts_zyx[0][:rows], *plan.starts_zyx[1:])
    if tiles_before != before.starts_zyx or plan.window.start_zyx != before.window.start_zyx:
        return None
    top = max(slab.box.stop_zyx[0], settled.stop_zyx[0])
    work = _left_open(run, replace(plan, target=plan.target.hull(settled).along(0, slab.box.start_zyx[0], top)))
    needed = ring_planes(work.plan, work.plan.taps(0), work.keep_from is not None)
    if work.layout.splits_yx != (1, 1) or ring.capacity < needed:
        return None
    return _Settling(replace(work, resumed=Resumed(ring, rows)), settled)


def _with_slab(run: StageRun, known: BoxLabels, slab: _Slab, settling: _Settling) -> BoxLabels:
    """Segment the slab and write its labels, and what else its tiles settle behind it, beside those that are known."""
    work, axis = settling.work, slab.axis
    if work.resumed is None:
        _free(known)
    target, settled = work.plan.target, settling.settled
    if slab.is_above:
        new = target.along(axis, slab.box.start_zyx[axis], target.stop_zyx[axis])
        span = known.settled.start_zyx[axis], settled.stop_zyx[axis]
    else:
        new = target.along(axis, target.start_zyx[axis], slab.box.stop_zyx[axis])
        span = settled.start_zyx[axis], known.settled.stop_zyx[axis]
    found, ring = predict(work, run.runner, run.sink(work.plan, new))
    with run.runner.watch.phase("restore"):
        part = found[new.shifted(target.start_zyx, -1).slices]
        known.labels[run.view.to_source(new).slices] = run.view.turn.undo(part)
    covered = known.open_pass.box.hull(target) if known.open_pass and work.resumed else target
    return BoxLabels(
        known.labels,
        held=known.held.common(target).along(axis, *known.held.hull(new).ranges[axis]),
        settled=known.settled.common(settled).along(axis, *span),
        written=known.written.hull(new),
        tiles=known.tiles + run.tiles(work),
        open_pass=OpenPass(ring, work.plan, covered) if ring is not None else None,
    )


def _free(known: BoxLabels) -> None:
    """Let the ring go before another pass takes its memory."""
    if known.open_pass is not None:
        known.open_pass.ring.free()
