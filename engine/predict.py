"""One network over one scan by overlapping tiles: the same function for the coarse and the fine stage, on any device.

Tiles run in z order. Once no later tile touches a plane of the blend ring, the labels that read only such planes are restored
and the planes are used again. So memory holds about one patch height of logits, whatever the length of the scan; full
logits never exist. Source of the numbers: nnunetv2/inference/predict_from_raw_data.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from flare_trt.engine.backends.session import Session
from flare_trt.engine.planes import ImageSource, InputPlanes
from flare_trt.engine.spec import StageSpec
from flare_trt.engine.stage_plan import StagePlan
from flare_trt.engine.stopwatch import Stopwatch
from flare_trt.engine.tiles import gaussian
from flare_trt.kernels import Kernels
from flare_trt.kernels.contract import Array, Taps

#: Called with (tiles done, tiles in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Runner:
    """What a pass runs on: one session a fold, the kernels of their device, and how it is watched."""

    sessions: Sequence[Session]
    kernels: Kernels
    watch: Stopwatch
    progress: Progress


@dataclass(frozen=True)
class LabelSink:
    """Where labels go: taps that read the padded window's logits, one a label voxel on each axis."""

    taps_zyx: tuple[Taps, Taps, Taps]

    @staticmethod
    def source(plan: StagePlan) -> LabelSink:
        """Labels on the source voxels of the plan's target box."""
        return LabelSink((plan.taps(0), plan.taps(1), plan.taps(2)))

    @staticmethod
    def network(plan: StagePlan) -> LabelSink:
        """Labels on the network grid of the plan's window."""
        return LabelSink((plan.network_taps(0), plan.network_taps(1), plan.network_taps(2)))


def predict(stage: StageSpec, source: ImageSource, plan: StagePlan, runner: Runner, sink: LabelSink) -> Array:
    """Labels (z, y, x) uint8 on the kernels' device, one a tap of `sink`, in the network's axis order."""
    blender = _Blender(stage, plan, runner, sink)
    planes = InputPlanes(source, plan, runner.kernels, capacity=plan.padded_shape[0])
    starts_z, starts_y, starts_x = plan.starts_zyx
    axes = stage.mirror_axes
    done = 0
    for row, z in enumerate(starts_z):
        with runner.watch.stage("preprocess"):
            planes.ensure(z + plan.patch_zyx[0])
        for corner in [(z, y, x) for y in starts_y for x in starts_x]:
            tile = planes.tile(corner)
            for fold, session in enumerate(runner.sessions):
                with runner.watch.stage("network"):
                    logits = run_mirrored(session, tile, axes)
                with runner.watch.stage("blend"):
                    blender.add(fold, logits, corner)
            done += 1
            runner.progress(done, plan.tile_count)
        with runner.watch.stage("restore"):
            blender.release(starts_z[row + 1] if row + 1 < len(starts_z) else plan.padded_shape[0])
    return blender.labels


def run_mirrored(session: Session, tile: Array, axes: Sequence[int]) -> Array:
    """Mean logits over all flips along `axes` (in nnU-Net's order); the plain logits where there are none."""
    if not axes:
        return session.run(tile)
    total = session.run(tile).copy()
    flips = [c for count in range(1, len(axes) + 1) for c in combinations(axes, count)]
    for flip in flips:
        cut: Any = (slice(None), slice(None), *(slice(None, None, -1 if axis in flip else 1) for axis in range(3)))
        total += session.run(tile[cut].copy())[cut[1:]]
    total /= len(flips) + 1
    return total


class _Blender:
    """The ring of logits of each fold, and the labels restored from it so far."""

    def __init__(self, stage: StageSpec, plan: StagePlan, runner: Runner, sink: LabelSink) -> None:
        self._kernels, self._taps = runner.kernels, sink.taps_zyx
        self._values = np.array(stage.channel_values, np.uint8)
        self._restore = self._kernels.restore_argmax if stage.activation == "argmax" else self._kernels.restore_regions
        self._gaussian = self._kernels.upload(gaussian(plan.patch_zyx))
        self.capacity = ring_planes(plan, sink.taps_zyx[0])
        shape = (self.capacity, *plan.padded_shape[1:])
        self._rings = [self._kernels.zeros((s.channels, *shape), np.float16) for s in runner.sessions]
        self._weights = [self._kernels.zeros(shape, np.float16) for _ in runner.sessions]
        self.labels = self._kernels.zeros([len(taps.lower) for taps in sink.taps_zyx], np.uint8)
        self._finished = self._cleared = self._restored = 0

    def add(self, fold: int, logits: Array, corner_zyx: tuple[int, int, int]) -> None:
        """Blend one tile."""
        self._kernels.blend(self._rings[fold], self._weights[fold], logits, self._gaussian, corner_zyx)

    def release(self, final: int) -> None:
        """No tile to come touches planes before `final`: restore what reads only those, and free them."""
        planes = (self._finished, final)
        for ring, weights in zip(self._rings, self._weights, strict=True):
            self._kernels.finish(ring, weights, planes)
        if len(self._rings) > 1:
            self._kernels.average(self._rings, planes)
        z = self._taps[0]
        stop = int(np.searchsorted(z.upper, final, side="left"))
        if stop > self._restored:
            part = slice(self._restored, stop)
            turned = Taps(z.lower[part] % self.capacity, z.upper[part] % self.capacity, z.weight[part])
            self._restore(self._rings[0], (turned, *self._taps[1:]), self._values, self.labels[part])
        keep = min(final, int(z.lower[stop])) if stop < len(z.lower) else final
        for ring, weights in zip(self._rings, self._weights, strict=True):
            self._kernels.clear(ring, weights, (self._cleared, keep))
        self._finished, self._cleared, self._restored = final, max(self._cleared, keep), stop


def ring_planes(plan: StagePlan, taps_z: Taps) -> int:
    """Planes that are alive at once: from the lowest that a label still waits for to the top of the next row of tiles."""
    starts, patch = plan.starts_zyx[0], plan.patch_zyx[0]
    needed = patch
    for following in starts[1:]:
        waiting = int(np.searchsorted(taps_z.upper, following, side="left"))
        keep = min(following, int(taps_z.lower[waiting])) if waiting < len(taps_z.lower) else following
        needed = max(needed, following + patch - keep)
    return needed
