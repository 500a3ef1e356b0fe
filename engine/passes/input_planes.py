"""The network's input, made plane by plane: normalise and resample just the planes that the next row of tiles needs.

Planes are indices z of the padded window (`PassPlan.padded_shape`). They live in a ring, plane z at z % `Layout.planes`, so a
scan of any length needs no more. Padding is 0 in normalised units (nnunetv2/inference/predict_from_raw_data.py, pad_nd_image).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flare_trt.engine.model.channel_spec import ChannelSpec
from flare_trt.engine.passes.normalised import NormalChannel, normal_channels
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import PassPlan
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array


@dataclass(frozen=True)
class ImageSource:
    """What planes are made from."""

    view: ScanView
    channels: tuple[NormalChannel, ...]

    @staticmethod
    def of(view: ScanView, inputs: Sequence[ChannelSpec], kernels: Kernels) -> ImageSource:
        """Measure the scan once. Raises InputError."""
        return ImageSource(view, normal_channels(view, inputs, kernels))


class InputPlanes:
    """Planes of one pass, from `first` on. `ensure` makes planes, `tile` cuts a patch out of those that are still there."""

    def __init__(self, source: ImageSource, plan: PassPlan, kernels: Kernels, layout: Layout, first: int = 0) -> None:
        self._source, self._plan, self._kernels, self._layout = source, plan, kernels, layout
        self._ring = kernels.zeros((len(source.channels), layout.planes, *plan.padded_shape[1:]), np.float32)
        self._made = first

    def ensure(self, stop: int) -> None:
        """Make all planes before `stop` that are not there yet, a chunk at a time."""
        while self._made < stop:
            last = min(stop, self._made + self._layout.chunk)
            if self._layout.planes == self._plan.padded_shape[0]:  # there is room for a whole chunk, needed now or not
                last = min(self._plan.padded_shape[0], self._made + self._layout.chunk)
            self._make(self._made, last)
            self._made = last

    def _make(self, start: int, stop: int) -> None:
        """Planes [start, stop) of the padded window: resampled ones in it, zeros around it."""
        pad, low = self._plan.pad_below[0], self._plan.window.start_zyx[0]
        inside = range(max(start, pad), min(stop, pad + self._plan.window.shape_zyx[0]))
        if inside:
            for channel in range(len(self._source.channels)):
                self._store(channel, self._resample(channel, low + inside[0] - pad, low + inside[-1] + 1 - pad), inside[0])
        for z in range(start, stop):
            if z not in inside:
                self._ring[:, z % self._layout.planes] = 0

    def tile(self, corner_zyx: tuple[int, int, int]) -> Array:
        """A patch at this corner of the padded window, as a fresh (1, c, z, y, x) array."""
        z0, y0, x0 = corner_zyx
        depth, height, width = self._plan.patch_zyx
        tile = self._kernels.empty((1, len(self._source.channels), depth, height, width), np.float32)
        for first, count in runs(z0, depth, self._layout.planes):
            place = first % self._layout.planes
            tile[0, :, first - z0 : first - z0 + count] = self._ring[:, place : place + count, y0 : y0 + height, x0 : x0 + width]
        return tile

    def _store(self, channel: int, image: Array, start: int) -> None:
        (_, y0, x0), (_, height, width) = self._plan.pad_below, self._plan.window.shape_zyx
        for first, count in runs(start, image.shape[0], self._layout.planes):
            place = first % self._layout.planes
            self._ring[channel, place : place + count, y0 : y0 + height, x0 : x0 + width] = image[
                first - start : first - start + count
            ]

    def _resample(self, channel: int, first: int, last: int) -> Array:
        """Network-grid planes [first, last) of the window's y and x."""
        plan, kernels = self._plan, self._kernels
        ranges = [(first, last), *zip(plan.window.start_zyx[1:], plan.window.stop_zyx[1:], strict=True)]
        spans = [plan.span(axis, *limits) for axis, limits in enumerate(ranges)]
        start = tuple(span.source_start for span in spans)
        stop = tuple(plan.source_stop(axis, span.target_stop) for axis, span in enumerate(spans))
        box, normal = Box(_by((0, 1, 2), start), _by((0, 1, 2), stop)), self._source.channels[channel]
        axis = plan.image_axis or 0
        order = (axis, *(a for a in range(3) if a != axis))  # the axis that is resampled on its own goes first
        image = kernels.normalise(kernels.upload(self._source.view.read(box, channel).transpose(order)), normal.intensity)
        if normal.mask is not None:
            kernels.zero_outside(image, kernels.upload(normal.mask.inside(box).transpose(order)))
        image = kernels.resample_spline(image, _by(order, spans), _by(order, plan.image_orders), normal.clamp)
        return image if axis == 0 else image.transpose([order.index(a) for a in range(3)])


def runs(start: int, count: int, capacity: int) -> list[tuple[int, int]]:
    """Cut [start, start + count) where a ring wraps round: (first plane, planes) each."""
    if count > capacity:
        raise ValueError(f"planes: got {count} at once, expected at most {capacity}")
    head = min(count, capacity - start % capacity)
    return [(start, head)] if head == count else [(start, head), (start + head, count - head)]


def _by(order: tuple[int, ...], values: Any) -> tuple[Any, Any, Any]:
    a, b, c = order
    return values[a], values[b], values[c]
