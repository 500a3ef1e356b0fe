"""Every size of one network pass, computed before anything is allocated.

A pass works on a window of the network grid of the whole scan: an ROI run resamples exactly the voxels that a run over the
whole scan would, so both see the same image; with the scan's own raster of tiles both give the same labels, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flare_trt.engine.base.grid import Shape
from flare_trt.engine.model.modes import Raster
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.geometry import separate_axis, target_shape
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.engine.passes.tiles import tile_starts
from flare_trt.kernels import Box, Span
from flare_trt.kernels.contract import Taps


@dataclass(frozen=True)
class PassPlan:
    """All shapes are in the network's axis order. `target` is the box of source voxels that get labels."""

    source_shape: Shape  # of the view
    network_shape: Shape  # of the whole view, resampled
    window: Box  # the part of the network grid that is computed
    target: Box
    patch_zyx: Shape
    starts_zyx: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    image_orders: Shape
    image_axis: int | None  # the axis that is resampled by nearest neighbour, slice by slice
    logits_orders: Shape

    @property
    def padded_shape(self) -> Shape:
        """The window, padded to at least one patch."""
        z, y, x = (max(size, patch) for size, patch in zip(self.window.shape_zyx, self.patch_zyx, strict=True))
        return z, y, x

    @property
    def pad_below(self) -> Shape:
        """Padding in front of the window; the rest of it lies behind (acvl_utils pad_nd_image centres so)."""
        z, y, x = ((p - w) // 2 for p, w in zip(self.padded_shape, self.window.shape_zyx, strict=True))
        return z, y, x

    @property
    def tile_count(self) -> int:
        """Forward passes of one fold without mirroring."""
        return math.prod(len(starts) for starts in self.starts_zyx)

    def span(self, axis: int, start: int, stop: int, order: int | None = None) -> Span:
        """How network-grid samples [start, stop) of an axis come out of the source; the slab is `source_start` and on.

        Without an `order` the image's.
        """
        source, target = self.source_shape[axis], self.network_shape[axis]
        low, _ = Span(source, target, start, stop).source_needed(self.image_orders[axis] if order is None else order)
        return Span(source, target, start, stop, low)

    def source_stop(self, axis: int, stop: int, order: int | None = None) -> int:
        """Last source sample + 1 that network-grid samples up to `stop` need."""
        span = Span(self.source_shape[axis], self.network_shape[axis], stop - 1, stop)
        return span.source_needed(self.image_orders[axis] if order is None else order)[1]

    def taps(self, axis: int, padded: bool = True) -> Taps:
        """Where each target voxel of an axis reads the padded window's logits."""
        source, network = self.source_shape[axis], self.network_shape[axis]
        index = np.arange(self.target.start_zyx[axis], self.target.stop_zyx[axis], dtype=np.float64)
        place = index if source == network else (index + 0.5) * (network / source) - 0.5
        if self.logits_orders[axis] == 0:
            lower = upper = np.floor(place + 0.5)
            weight = np.zeros(len(place))
        else:
            lower = np.floor(np.clip(place, 0, network - 1))
            weight = np.clip(place, 0, network - 1) - lower
            upper = np.where(weight > 0, lower + 1, lower)
        low, high = self.window.start_zyx[axis], self.window.stop_zyx[axis]
        offset = self.pad_below[axis] - low if padded else -low
        bounded = [np.clip(side, low, high - 1).astype(np.int32) + np.int32(offset) for side in (lower, upper)]
        return Taps(bounded[0], bounded[1], weight.astype(np.float32))

    def network_taps(self, axis: int) -> Taps:
        """Taps that read the window's logits as they are, one label a network-grid voxel."""
        index = np.arange(self.window.shape_zyx[axis], dtype=np.int32) + np.int32(self.pad_below[axis])
        return Taps(index, index, np.zeros(len(index), np.float32))


def plan_pass(stage: StageSpec, view: ScanView, box: Box, raster: Raster = "scan") -> PassPlan:
    """Plan a pass over a box of the view, with the tiles that `raster` names."""
    source = view.shape_zyx
    network = target_shape(source, view.spacing_mm, stage.spacing_mm)
    image_axis = separate_axis(view.spacing_mm, stage.spacing_mm, stage.separate_z)
    logits_axis = separate_axis(stage.spacing_mm, view.spacing_mm, stage.separate_z)
    lines = [_tiled(_needed(box, source, network, axis), network, stage, axis, raster) for axis in range(3)]
    (z0, z1, z), (y0, y1, y), (x0, x1, x) = lines
    return PassPlan(
        source_shape=source,
        network_shape=network,
        window=Box((z0, y0, x0), (z1, y1, x1)),
        target=box,
        patch_zyx=stage.patch_zyx,
        starts_zyx=(z, y, x),
        image_orders=_orders(stage.image_order, stage.image_order_z, image_axis),
        image_axis=image_axis if network != source else None,
        logits_orders=_orders(stage.logits_order, stage.logits_order_z, logits_axis),
    )


def ring_planes(plan: PassPlan, taps_z: Taps, is_kept: bool = False) -> int:
    """Planes that are alive at once: from the lowest that a label still waits for to the top of the next row of tiles.

    A ring that is kept for a row of tiles beyond the plan also has room for that row and the plane below it.
    """
    starts, patch = plan.starts_zyx[0], plan.patch_zyx[0]
    needed = patch
    for following in starts[1:]:
        waiting = int(np.searchsorted(taps_z.upper, following, side="left"))
        keep = min(following, int(taps_z.lower[waiting])) if waiting < len(taps_z.lower) else following
        needed = max(needed, following + patch - keep)
    return max(needed, patch + 1) if is_kept else needed


def _orders(order: int, order_z: int, axis: int | None) -> Shape:
    z, y, x = (order_z if axis == i else order for i in range(3))
    return z, y, x


def _needed(target: Box, source: Shape, network: Shape, axis: int) -> tuple[int, int]:
    """Network-grid samples of an axis that the target's labels read."""
    scale = network[axis] / source[axis]
    low = max(0, math.floor((target.start_zyx[axis] + 0.5) * scale - 0.5))
    return low, min(network[axis], math.floor((target.stop_zyx[axis] - 0.5) * scale - 0.5) + 2)


def _tiled(
    needed: tuple[int, int], network: Shape, stage: StageSpec, axis: int, raster: Raster
) -> tuple[int, int, tuple[int, ...]]:
    """Window of an axis (start, stop) that holds the needed samples, and where tiles start in it."""
    size, patch = network[axis], stage.patch_zyx[axis]
    if size <= patch:
        return 0, size, (0,)
    if raster == "scan":
        kept = _touching(tile_starts(size, patch, stage.step_along(axis)), patch, needed)
        return kept[0], kept[-1] + patch, tuple(start - kept[0] for start in kept)
    low, high = needed
    missing = max(0, patch - (high - low))
    low = max(0, min(low - missing // 2, size - (high - low + missing)))
    high = max(high, low + patch)
    return low, high, tile_starts(high - low, patch, stage.step_along(axis))


def _touching(starts: tuple[int, ...], patch: int, needed: tuple[int, int]) -> tuple[int, ...]:
    """Tiles that hold needed samples. One that only its rim reaches into them goes, where the others cover all.

    There the rim counts for less than 2 % beside its neighbour.
    """
    low, high = needed
    kept = [start for start in starts if start < high and start + patch > low]
    if len(kept) > 1 and kept[0] + patch - low <= rim(patch) and kept[1] <= low:
        del kept[0]
    if len(kept) > 1 and high - kept[-1] <= rim(patch) and kept[-2] + patch >= high:
        del kept[-1]
    return tuple(kept)


def rim(patch: int) -> int:
    """The outermost samples of a tile: an eighth of a patch, one sigma of the Gaussian weights."""
    return patch // 8
