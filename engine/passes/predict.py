"""One network over one scan by overlapping tiles: the same function for the coarse and the fine stage, on any device.

Tiles run in z order. Once no later tile touches a plane of the blend ring, the labels that read only such planes are restored
and the planes are used again. So memory holds about one patch height of logits, whatever the length of the scan; full
logits never exist. Source of the numbers: nnunetv2/inference/predict_from_raw_data.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any

import numpy as np

from flare_trt.engine.base.stopwatch import Stopwatch
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.networks.session import RunsPairs, Session
from flare_trt.engine.passes.blocks import Block, cut_blocks
from flare_trt.engine.passes.class_rows import ClassRows
from flare_trt.engine.passes.input_planes import ImageSource, InputPlanes
from flare_trt.engine.passes.logits_ring import Ring
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import PassPlan, ring_planes
from flare_trt.engine.passes.tiles import gaussian
from flare_trt.kernels import Kernels
from flare_trt.kernels.contract import Array, Taps

#: Called with (tiles done, tiles in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Runner:
    """What passes run on: one session a fold, the kernels of their device, and how they are watched."""

    sessions: Sequence[Session]
    kernels: Kernels
    watch: Stopwatch
    progress: Progress


@dataclass(frozen=True)
class Resumed:
    """A ring in which the first `rows` rows of a pass' tiles, maybe all, were blended by an earlier pass."""

    ring: Ring
    rows: int


@dataclass(frozen=True)
class Pass:
    """One stage over one box: what it reads, its sizes, how much of the input it holds at once, and what was done before.

    `keep_from` is the plane of the padded window from which the ring keeps its sums, for a pass that goes on with a row of tiles
    there (growing_box.py); None where no pass will.
    """

    stage: StageSpec
    source: ImageSource
    plan: PassPlan
    layout: Layout
    resumed: Resumed | None = None
    keep_from: int | None = None

    @property
    def tile_count(self) -> int:
        """Forward passes of one fold without mirroring and without blocks."""
        rows, columns = len(self.plan.starts_zyx[0]), len(self.plan.starts_zyx[1]) * len(self.plan.starts_zyx[2])
        return (rows - (self.resumed.rows if self.resumed else 0)) * columns


@dataclass(frozen=True)
class LabelSink:
    """Where labels go: taps that read the padded window's logits, one a label voxel on each axis; `rows` keep probabilities too."""

    taps_zyx: tuple[Taps, Taps, Taps]
    rows: ClassRows | None = None

    @staticmethod
    def source(plan: PassPlan, rows: ClassRows | None = None) -> LabelSink:
        """Labels on the source voxels of the plan's target box."""
        return LabelSink((plan.taps(0), plan.taps(1), plan.taps(2)), rows)

    @staticmethod
    def network(plan: PassPlan) -> LabelSink:
        """Labels on the network grid of the plan's window."""
        return LabelSink((plan.network_taps(0), plan.network_taps(1), plan.network_taps(2)))


def predict(work: Pass, runner: Runner, sink: LabelSink) -> tuple[Array, Ring | None]:
    """Labels (z, y, x) on the kernels' device, one a tap of `sink`, in the network's axis order; the ring if it is kept."""
    blocks = list(cut_blocks(work.plan, sink.taps_zyx, work.layout.splits_yx))
    rows = len(work.plan.starts_zyx[0]) - (work.resumed.rows if work.resumed else 0)
    total, done = rows * sum(len(block.corners(work.plan)) for block in blocks), count(1)

    def add_tile() -> None:
        runner.progress(next(done), total)

    if len(blocks) == 1:
        return _predict_block(_Blender(work, runner, blocks[0], sink.rows), work, runner, add_tile)
    labels = runner.kernels.zeros([len(taps.lower) for taps in sink.taps_zyx], work.stage.label_dtype)
    for block in blocks:
        blender = _Blender(work, runner, block, sink.rows)
        labels[:, block.target_yx[0], block.target_yx[1]], _ = _predict_block(blender, work, runner, add_tile)
    return labels, None


def _predict_block(blender: _Blender, work: Pass, runner: Runner, add_tile: Callable[[], None]) -> tuple[Array, Ring | None]:
    stage, plan = work.stage, work.plan
    starts_z, corners = plan.starts_zyx[0], blender.block.corners(plan)
    first = work.resumed.rows if work.resumed else 0
    planes = InputPlanes(work.source, plan, runner.kernels, work.layout, min(starts_z[first:], default=plan.padded_shape[0]))
    # a row of one tile is quicker with all cores on it
    pairs = len(corners) > 1 and not stage.mirror_axes and all(isinstance(session, RunsPairs) for session in runner.sessions)
    step = 2 if pairs else 1
    for row, z in enumerate(starts_z[first:], start=first):
        with runner.watch.phase("preprocess"):
            planes.ensure(z + plan.patch_zyx[0])
        for at in range(0, len(corners), step):
            together = corners[at : at + step]
            tiles = [planes.tile((z, y, x)) for y, x in together]
            for fold, session in enumerate(runner.sessions):
                with runner.watch.phase("network"):
                    logits = _run(session, tiles, stage.mirror_axes, pairs)
                with runner.watch.phase("blend"):
                    for part, (y, x) in zip(logits, together, strict=True):
                        blender.add(fold, part, (z, y, x))
            for _ in together:
                add_tile()
        if row + 1 < len(starts_z):
            with runner.watch.phase("restore"):
                blender.release(starts_z[row + 1])
    with runner.watch.phase("restore"):
        if work.keep_from is None:
            blender.release(plan.padded_shape[0])
            return blender.labels, None
        blender.release_keeping(work.keep_from)
        return blender.labels, blender.ring


def _run(session: Session, tiles: Sequence[Array], axes: Sequence[int], pairs: bool) -> Sequence[Array]:
    """Logits of tiles that stand in one row."""
    if pairs and isinstance(session, RunsPairs):
        return session.run_together(tiles)
    return [run_mirrored(session, tile, axes) for tile in tiles]


def run_mirrored(session: Session, tile: Array, axes: Sequence[int]) -> Array:
    """Mean logits over all flips along `axes` (in nnU-Net's order); the plain logits where there are none."""
    if not axes:
        return session.run(tile)
    total = session.run(tile).copy()
    flips = [chosen for number in range(1, len(axes) + 1) for chosen in combinations(axes, number)]
    for flip in flips:
        cut: Any = (slice(None), slice(None), *(slice(None, None, -1 if axis in flip else 1) for axis in range(3)))
        total += session.run(tile[cut].copy())[cut[1:]]
    total /= len(flips) + 1
    return total


class _Blender:
    """The ring of logits over one block, and the labels restored from it so far."""

    def __init__(self, work: Pass, runner: Runner, block: Block, rows: ClassRows | None) -> None:
        plan, stage = work.plan, work.stage
        self._kernels, self._taps, self.block, self._rows = runner.kernels, block.taps_zyx, block, rows
        self._values = np.array(stage.raster_values, stage.label_dtype)
        self._in_half = stage.half_logits
        self._restore = self._kernels.restore_argmax if stage.activation == "argmax" else self._kernels.restore_regions
        self._gaussian = self._kernels.upload(gaussian(plan.patch_zyx))
        shape = (ring_planes(plan, block.taps_zyx[0], work.keep_from is not None), *block.shape_yx)
        self.ring = work.resumed.ring if work.resumed else Ring(self._kernels, runner.sessions, shape)
        self.labels = self._kernels.zeros([len(taps.lower) for taps in block.taps_zyx], stage.label_dtype)
        self._restored = 0

    def add(self, fold: int, logits: Array, corner_zyx: tuple[int, int, int]) -> None:
        """Blend the part of a tile that lies in the block."""
        z, y, x = corner_zyx
        part, place = self.block.clip(logits, (y, x))
        weights, _ = self.block.clip(self._gaussian, (y, x))
        self.ring.add(fold, part, weights, (z, *place))

    def release(self, final: int) -> None:
        """No tile to come touches planes before `final`: restore what reads only those, and free them."""
        self._restore_before(final)
        z = self._taps[0]
        self.ring.clear(min(final, int(z.lower[self._restored])) if self._restored < len(z.lower) else final)

    def release_keeping(self, final: int) -> None:
        """As `release` after the last row, but the ring stays as a row of tiles from `final` on needs it.

        Where that row was left out (see pass_plan), labels read a rim of planes that lacks it. Labels above this pass' read the
        plane below `final`.
        """
        self._restore_before(final)
        self.ring.clear(final - 1)
        stop = int(self._taps[0].upper[-1]) + 1
        if stop > final:
            with self.ring.lent(final, stop):
                self._restore_before(stop)

    def _restore_before(self, final: int) -> None:
        ring, z = self.ring, self._taps[0]
        ring.finish(final)
        stop = int(np.searchsorted(z.upper, final, side="left"))
        if stop > self._restored:
            part = z[self._restored : stop]
            taps = (Taps(part.lower % ring.capacity, part.upper % ring.capacity, part.weight), *self._taps[1:])
            self._restore(ring.logits, taps, self._values, self.labels[self._restored : stop], self._in_half)
            if self._rows is not None:
                y, x = (cut.start or 0 for cut in self.block.target_yx)
                self._rows.write(ring.logits, taps, (self._restored, y, x), self._kernels)
        self._restored = stop
