"""The network's input, made plane by plane: normalise and resample just the planes that the next row of tiles needs.

Planes are indices z of the padded window (`PassPlan.padded_shape`). They live in a ring, plane z at z % `Layout.planes`, so a
scan of any length needs no more. Padding is 0 in normalised units (nnunetv2/inference/predict_from_raw_data.py, pad_nd_image).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from flare_trt.engine.model.channel_spec import ChannelSpec, LabelInput
from flare_trt.engine.passes.label_source import CornerTaps, LabelSource
from flare_trt.engine.passes.nonzero_mask import NonzeroMask
from flare_trt.engine.passes.normalised import NormalChannel, normal_channels
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import PassPlan
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, Kernels, Span
from flare_trt.kernels.contract import Array


@dataclass(frozen=True)
class ImageSource:
    """What planes are made from."""

    view: ScanView
    channels: tuple[NormalChannel, ...]
    labels: LabelSource | None = None

    @staticmethod
    def of(view: ScanView, inputs: Sequence[ChannelSpec], kernels: Kernels, previous: LabelInput | None = None) -> ImageSource:
        """Measure the scan once. Raises InputError."""
        mask = None if previous is None else NonzeroMask(view)
        labels = None if previous is None or mask is None else LabelSource(previous, mask)
        return ImageSource(view, normal_channels(view, inputs, kernels, mask), labels)

    def behind(self, found: Array, inputs: Sequence[ChannelSpec], kernels: Kernels) -> ImageSource:
        """With the labels of the stage before, on the scan; they count as inside the nonzero mask where channels are masked."""
        if self.labels is None:
            raise ValueError("image: got labels of a stage before, expected none for this network")
        found = kernels.download(found)
        mask = self.labels.mask.with_labels(self.view, found)
        remade = any(channel.masked for channel in inputs)
        channels = normal_channels(self.view, inputs, kernels, mask) if remade else self.channels
        return ImageSource(self.view, channels, replace(self.labels, labels=found, mask=mask))


class InputPlanes:
    """Planes of one pass, from `first` on. `ensure` makes planes, `tile` cuts a patch out of those that are still there."""

    def __init__(self, source: ImageSource, plan: PassPlan, kernels: Kernels, layout: Layout, first: int = 0) -> None:
        self._source, self._plan, self._kernels, self._layout = source, plan, kernels, layout
        shape = (layout.planes, *plan.padded_shape[1:])
        self._ring = kernels.zeros((len(source.channels), *shape), np.float32)
        self._labels: Array = None if source.labels is None else kernels.zeros(shape, np.uint8)
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
        filled = [(self._ring[channel], partial(self._resample, channel)) for channel in range(len(self._source.channels))]
        if self._source.labels is not None:
            filled.append((self._labels, partial(self._resample_labels, self._source.labels)))
        for ring, resampled in filled:
            if inside:
                self._store(ring, resampled(low + inside[0] - pad, low + inside[-1] + 1 - pad), inside[0])
            for z in range(start, stop):
                if z not in inside:
                    ring[z % self._layout.planes] = 0

    def tile(self, corner_zyx: tuple[int, int, int]) -> Array:
        """A patch at this corner of the padded window, as a fresh (1, c, z, y, x) array."""
        z0, y0, x0 = corner_zyx
        depth, height, width = self._plan.patch_zyx
        images, labels = len(self._source.channels), 0 if self._source.labels is None else len(self._source.labels.spec.values)
        tile = self._kernels.empty((1, images + labels, depth, height, width), np.float32)
        for first, count in runs(z0, depth, self._layout.planes):
            place = first % self._layout.planes
            rows, cut = slice(first - z0, first - z0 + count), (slice(y0, y0 + height), slice(x0, x0 + width))
            tile[0, :images, rows] = self._ring[:, place : place + count, *cut]
            if labels:
                part = self._labels[place : place + count, *cut].copy()
                for label, chosen in enumerate(np.eye(256, dtype=bool)[1 : labels + 1]):
                    tile[0, images + label, rows] = self._kernels.select_labels(part, chosen)
        return tile

    def _store(self, ring: Array, image: Array, start: int) -> None:
        (_, y0, x0), (_, height, width) = self._plan.pad_below, self._plan.window.shape_zyx
        for first, count in runs(start, image.shape[0], self._layout.planes):
            place = first % self._layout.planes
            ring[place : place + count, y0 : y0 + height, x0 : x0 + width] = image[first - start : first - start + count]

    def _resample(self, channel: int, first: int, last: int) -> Array:
        """Network-grid planes [first, last) of the window's y and x."""
        kernels, orders, normal = self._kernels, self._plan.image_orders, self._source.channels[channel]
        box, spans = self._slab(first, last, orders)
        scan = self._source.view.read(box, channel).transpose(self._turn)
        how = _by(self._turn, spans), _by(self._turn, orders), normal.clamp
        if normal.mask is None:
            image = kernels.resample_scan(scan, normal.intensity, *how)
        else:
            image = kernels.normalise(kernels.upload(scan), normal.intensity)
            kernels.zero_outside(image, kernels.upload(normal.mask.inside(box).transpose(self._turn)))
            image = kernels.resample_spline(image, *how)
        return image.transpose([self._turn.index(axis) for axis in range(3)])

    def _resample_labels(self, source: LabelSource, first: int, last: int) -> Array:
        """As `_resample`, of the labels of the stage before."""
        turn = self._turn
        if source.labels is None:
            raise ValueError("input planes: got no labels of the stage before, expected them for this network")
        orders = [0 if axis == self._plan.image_axis else source.spec.order for axis in range(3)]
        box, spans = self._slab(first, last, orders)
        slab = self._source.view.turned_part(source.labels, box).transpose(turn)
        taps = [CornerTaps.of(spans[axis], orders[axis]) for axis in turn]
        found = source.resampled(slab, source.mask.inside(box).transpose(turn), taps)
        return self._kernels.upload(found.transpose([turn.index(axis) for axis in range(3)]))

    @property
    def _turn(self) -> tuple[int, int, int]:
        """Axes with the one first that is resampled on its own."""
        first = self._plan.image_axis or 0
        return _by((first, *(axis for axis in range(3) if axis != first)), (0, 1, 2))

    def _slab(self, first: int, last: int, orders: Sequence[int]) -> tuple[Box, list[Span]]:
        """The box of the view that network-grid planes [first, last) of the window come out of, and how."""
        plan = self._plan
        ranges = [(first, last), *plan.window.ranges[1:]]
        spans = [plan.span(axis, *limits, orders[axis]) for axis, limits in enumerate(ranges)]
        stops = [plan.source_stop(axis, span.target_stop, orders[axis]) for axis, span in enumerate(spans)]
        return Box.spanning((span.source_start, stop) for span, stop in zip(spans, stops, strict=True)), spans


def runs(start: int, count: int, capacity: int) -> list[tuple[int, int]]:
    """Cut [start, start + count) where a ring wraps round: (first plane, planes) each."""
    if count > capacity:
        raise ValueError(f"planes: got {count} at once, expected at most {capacity}")
    head = min(count, capacity - start % capacity)
    return [(start, head)] if head == count else [(start, head), (start + head, count - head)]


def _by(order: tuple[int, ...], values: Any) -> tuple[Any, Any, Any]:
    a, b, c = order
    return values[a], values[b], values[c]
