"""Coarse to fine: find the abdomen, segment only there, and never cut an organ without saying so.

Both stages are the same `predict`. After the fine one its labels are looked at: an organ that reaches an inner face of the
box was probably cut, so the box grows on that side, and is given up for the whole scan where that does not help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import REACH_MM, canonical
from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.passes.growing_box import grow_box, segment_box
from flare_trt.engine.passes.pass_plan import PassPlan
from flare_trt.engine.passes.predict import LabelSink, predict
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.stage_run import StageRun
from flare_trt.engine.roi.coarse_pieces import Piece, find_pieces, keep_known
from flare_trt.engine.roi.cut_organs import cut_organs
from flare_trt.engine.roi.roi_box import Located, extended, locate, retold
from flare_trt.kernels import Box
from flare_trt.kernels.contract import Array

#: How often a box is enlarged for vessels and gullet that it cuts.
MOST_EXTENSIONS = 5


@dataclass(frozen=True)
class Segmented:
    """Labels on the scan, on the kernels' device; how the ROI went (None without a coarse stage); the tiles run for them."""

    labels: Array
    roi: RoiStory | None
    tiles: int


@dataclass(frozen=True)
class CoarseLabels:
    """Labels of the coarse stage on the network grid of the plan's window and the numbers of their pieces, on the host."""

    view: ScanView
    plan: PassPlan
    labels: NDArray[Any]
    components: NDArray[np.int32]
    tiles: int


def coarse_labels(run: StageRun, box: Box) -> CoarseLabels:
    """Run the coarse stage over a box of the scan and number the pieces of its labels."""
    view, kernels = run.view, run.runner.kernels
    work = run.pass_over(view.from_source(box))
    found, _ = predict(work, run.runner, LabelSink.network(work.plan))
    with run.runner.watch.phase("roi"):
        components = kernels.download(kernels.components(found))
        return CoarseLabels(view, work.plan, kernels.download(found), components, run.tiles(work))


def locate_abdomen(run: StageRun, coarse: CoarseLabels, spec: ModelSpec) -> Located:
    """Decide from the coarse labels where the fine stage looks."""
    run.runner.kernels.trim()  # the rings are gone, and what follows has other sizes
    with run.runner.watch.phase("roi"):
        scan = run.view.ct.grid
        names = [spec.label_names[value] for value in run.stage.channel_values if value]
        found = keep_known(_source_pieces(coarse, spec.label_names), names, scan.spacing_mm)
        return locate(found, names, scan, spec.roi)


def segment_whole(run: StageRun, box: Box) -> Segmented:
    """Run the fine stage over a box of the scan without looking at what it cuts."""
    found = segment_box(run, box)
    _keep(run, box)
    return Segmented(found.labels, None, found.tiles)


def segment_roi(run: StageRun, located: Located, names: dict[int, str]) -> Segmented:
    """Run the fine stage in the ROI, and follow what the box cuts.

    A cut side is enlarged by a slab; with the whole scan's raster only labels that no tile has settled yet are made for it. Where a
    solid organ is cut a second time the whole scan is taken; vessels and gullet, which run on beyond any box, are followed a few
    slabs, and then the report names them.
    """
    scan, kernels = run.view.ct.grid, run.runner.kernels
    story, box = located.story, located.box
    if box is None:
        _keep(run, Box((0, 0, 0), (0, 0, 0)))
        return Segmented(kernels.zeros(scan.shape_zyx, run.stage.label_dtype), story, 0)
    known = segment_box(run, box)
    for extension in range(MOST_EXTENSIONS + 1):
        with run.runner.watch.phase("roi"):
            cut = cut_organs(known.labels, box, scan, names, kernels)
        story = replace(story, findings=story.findings + tuple(f"{name} reaches the box's {side} face" for name, side in cut))
        if not cut or extension == MOST_EXTENSIONS:
            break
        if extension and any(canonical(name) not in REACH_MM for name, _ in cut):
            box, slabs, decision = scan.whole, [scan.whole], "whole"
        else:
            slabs, decision = [], "enlarged"
            for side in sorted({side for _, side in cut}):
                slab, box = extended(box, scan, side)
                slabs.append(slab)
        known = grow_box(run, known, box, slabs)
        story = retold(story, decision, box, scan)
        if decision == "whole":
            break
    _clear_beyond(known.labels, box, run.view.to_source(known.written))
    _keep(run, box)
    return Segmented(known.labels, story, known.tiles)


def _keep(run: StageRun, box: Box) -> None:
    """Probabilities beyond the box become the background's."""
    if run.probabilities is not None:
        run.probabilities.keep(box)


def _clear_beyond(labels: Array, box: Box, written: Box) -> None:
    """Set what lies beyond the box to 0 where labels were written: elsewhere that would only take memory, page by page."""
    for axis, ((low, high), (first, last)) in enumerate(zip(box.ranges, written.ranges, strict=True)):
        for start, stop in ((first, min(low, last)), (max(high, first), last)):
            if start < stop:
                labels[written.along(axis, start, stop).slices] = 0


def _source_pieces(coarse: CoarseLabels, names: dict[int, str]) -> list[Piece]:
    """Pieces of the coarse labels of a pass, with their boxes in source voxels."""
    plan, view = coarse.plan, coarse.view
    scale = [source / network for source, network in zip(plan.source_shape, plan.network_shape, strict=True)]
    z, y, x = (mm * s for mm, s in zip(view.spacing_mm, scale, strict=True))

    def on_scan(box: Box) -> Box:
        ranges = zip(box.shifted(plan.window.start_zyx).ranges, scale, strict=True)
        return view.to_source(Box.spanning((int(np.floor(low * s)), int(np.ceil(high * s))) for (low, high), s in ranges))

    pieces = find_pieces(coarse.labels, coarse.components, names, (z, y, x))
    return [replace(piece, box=on_scan(piece.box)) for piece in pieces]
