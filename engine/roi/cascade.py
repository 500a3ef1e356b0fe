"""Coarse to fine: find the abdomen, segment only there, and never cut an organ without saying so.

Both passes are the same `predict`. After the fine pass its labels are looked at: an organ that reaches an inner face of the
box was probably cut, so the box grows on that side, and is given up for the whole scan where that does not help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import REACH_MM, canonical
from flare_trt.engine.base.run_report import RoiStory
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.passes.box_pass import BoxLabels, StageRun, grow_box, plan_pass, segment_box
from flare_trt.engine.passes.pass_plan import StagePlan
from flare_trt.engine.passes.predict import LabelSink, predict
from flare_trt.engine.passes.scan_view import Frame
from flare_trt.engine.roi.coarse_pieces import Piece, find_pieces, keep_abdomen
from flare_trt.engine.roi.cut_organs import cut_organs
from flare_trt.engine.roi.roi_box import Located, extended, locate, retold
from flare_trt.kernels import Box
from flare_trt.kernels.contract import Array

#: How often a box is enlarged for vessels and gullet that it cuts.
MOST_EXTENSIONS = 5


@dataclass(frozen=True)
class Segmented:
    """Labels on the scan, on the kernels' device; how the ROI went (None without a coarse stage); the tiles run by stage."""

    labels: Array
    roi: RoiStory | None
    tiles: dict[str, int]


@dataclass(frozen=True)
class CoarseLabels:
    """Labels of the coarse stage on the network grid of the plan's window and the numbers of their pieces, on the host."""

    frame: Frame
    plan: StagePlan
    labels: NDArray[np.uint8]
    components: NDArray[np.int32]


def segment_whole(run: StageRun, ct: Volume) -> Segmented:
    """Segment the whole scan with one stage."""
    found = segment_box(run, ct, run.search(ct))
    return Segmented(found.labels, None, {"fine": found.tiles})


def segment_cascade(coarse: StageRun, fine: StageRun, ct: Volume, spec: ModelSpec) -> Segmented:
    """Find the abdomen with the coarse stage, segment only there with the fine one."""
    located, coarse_tiles = find_roi(coarse, ct, spec)
    found = segment_roi(fine, ct, located, spec.label_names)
    return replace(found, tiles={"coarse": coarse_tiles, **found.tiles})


def find_roi(run: StageRun, ct: Volume, spec: ModelSpec) -> tuple[Located, int]:
    """Run the coarse stage over the scan and decide where the fine one looks; also the tiles run."""
    coarse = coarse_labels(run, ct)
    run.runner.kernels.trim()  # the rings are gone, and what follows has other sizes
    with run.runner.watch.stage("roi"):
        found = keep_abdomen(_source_pieces(coarse, spec.label_names), ct.grid.spacing_mm)
        expected = [spec.label_names[value] for value in run.stage.channel_values if value]
        return locate(found, expected, ct.grid, spec.roi), coarse.plan.tile_count * len(run.runner.sessions)


def coarse_labels(run: StageRun, ct: Volume) -> CoarseLabels:
    """Run the coarse stage over the scan and number the pieces of its labels."""
    frame, kernels = Frame.of(ct, run.stage), run.runner.kernels
    work = plan_pass(run, frame, frame.from_source(run.search(ct)))
    found = predict(work, run.runner, LabelSink.network(work.plan))
    with run.runner.watch.stage("roi"):
        components = kernels.download(kernels.components(found))
        return CoarseLabels(frame, work.plan, kernels.download(found), components)


def segment_roi(run: StageRun, ct: Volume, located: Located, names: dict[int, str]) -> Segmented:
    """Run the fine stage in the ROI, and follow what the box cuts.

    A cut side is enlarged by a slab; with the whole scan's raster only labels that no tile has settled yet are made for it. Where a
    solid organ is cut a second time the whole scan is taken; vessels and gullet, which run on beyond any box, are followed a few
    slabs and then told.
    """
    story, box = located.story, located.box
    if box is None:
        return Segmented(run.runner.kernels.zeros(ct.grid.shape_zyx, np.uint8), story, {"fine": 0})
    known = segment_box(run, ct, box)
    for extension in range(MOST_EXTENSIONS + 1):
        with run.runner.watch.stage("roi"):
            cut = cut_organs(known.labels, box, ct.grid, names, run.runner.kernels)
        story = replace(story, findings=story.findings + tuple(f"{name} reaches the box's {side} face" for name, side in cut))
        if not cut or extension == MOST_EXTENSIONS:
            break
        if extension and any(canonical(name) not in REACH_MM for name, _ in cut):
            known, box = _give_way(run, ct, known)
            story = retold(story, "whole", box, ct.grid)
            break
        known, box = _follow(run, ct, known, box, {side for _, side in cut})
        story = retold(story, "enlarged", box, ct.grid)
    _clear_beyond(known.labels, box)
    return Segmented(known.labels, story, {"fine": known.tiles})


def _follow(run: StageRun, ct: Volume, known: BoxLabels, box: Box, sides: set[str]) -> tuple[BoxLabels, Box]:
    """Labels of the box enlarged on these sides, and that box."""
    slabs = []
    for side in sorted(sides):
        slab, box = extended(box, ct.grid, side)
        slabs.append(slab)
    if run.raster == "scan":
        return grow_box(run, ct, known, box), box
    for slab in slabs:
        found = segment_box(run, ct, slab)
        known.labels[slab.slices] = found.labels[slab.slices]
        known = replace(known, tiles=known.tiles + found.tiles)
    return known, box


def _give_way(run: StageRun, ct: Volume, known: BoxLabels) -> tuple[BoxLabels, Box]:
    """Labels of the whole scan: with its own raster only those that are not known."""
    box = ct.grid.whole
    if run.raster == "scan":
        return grow_box(run, ct, known, box), box
    found = segment_box(run, ct, box)
    return replace(found, tiles=known.tiles + found.tiles), box


def _clear_beyond(labels: Array, box: Box) -> None:
    """Set what lies beyond the box to 0."""
    for axis in range(3):
        for outer in (slice(0, box.start_zyx[axis]), slice(box.stop_zyx[axis], None)):
            labels[tuple(outer if a == axis else slice(None) for a in range(3))] = 0


def _source_pieces(coarse: CoarseLabels, names: dict[int, str]) -> list[Piece]:
    """Pieces of the coarse labels of a pass, with their boxes in source voxels."""
    plan, frame = coarse.plan, coarse.frame
    scale = [source / network for source, network in zip(plan.source_shape, plan.network_shape, strict=True)]
    z, y, x = (mm * s for mm, s in zip(frame.spacing_mm, scale, strict=True))
    pieces = find_pieces(coarse.labels, coarse.components, names, (z, y, x))
    moved = [(piece, piece.box.shifted(plan.window.start_zyx)) for piece in pieces]
    return [replace(piece, box=frame.to_source(_scaled(box, scale))) for piece, box in moved]


def _scaled(box: Box, scale: list[float]) -> Box:
    return Box.spanning((int(np.floor(low * s)), int(np.ceil(high * s))) for (low, high), s in zip(box.ranges, scale, strict=True))
