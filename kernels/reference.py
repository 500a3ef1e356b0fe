"""The definition of each kernel in plain NumPy and SciPy: slow, clear, and the oracle of the fast devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.box import Box
from flare_trt.kernels.checks import checks_arguments
from flare_trt.kernels.contract import Array, Intensity, Kernels, Span, TapsZyx
from flare_trt.kernels.host_memory import HostMemory
from flare_trt.kernels.host_pieces import HostPieces
from flare_trt.kernels.in_steps import ResamplesInSteps


def create() -> Kernels:
    """The reference device."""
    return ReferenceKernels()


@checks_arguments
class ReferenceKernels(HostMemory, HostPieces, ResamplesInSteps):
    """See contract.Kernels for what each method does."""

    name = "reference"

    def normalise(self, image: Array, intensity: Intensity) -> Array:
        hu = np.clip(image.astype(np.float32), np.float32(intensity.low_hu), np.float32(intensity.high_hu))
        hu -= np.float32(intensity.mean_hu)
        hu /= np.float32(max(intensity.std_hu, 1e-8))
        return hu

    def resample_spline(
        self, image: Array, spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int], clamp: tuple[float, float]
    ) -> Array:
        result = image.astype(np.float64)
        for axis in (1, 2):
            result = _resample_axis(result, axis, spans_zyx[axis], order_zyx[axis])
        if order_zyx[0] < 3 and max(order_zyx) == 3:
            lowest = image.min(axis=(1, 2), keepdims=True)
            highest = image.max(axis=(1, 2), keepdims=True)
            result = np.clip(result, lowest, highest)
            clamp = (-np.inf, np.inf)
        result = _resample_axis(result, 0, spans_zyx[0], order_zyx[0])
        return np.ascontiguousarray(np.clip(result, *clamp).astype(np.float32))

    def blend(self, ring: Array, weights: Array, logits: Array, gaussian: Array, corner_zyx: tuple[int, int, int]) -> None:
        z0, y0, x0 = corner_zyx
        for dz in range(logits.shape[1]):
            place = (z0 + dz) % ring.shape[1], slice(y0, y0 + logits.shape[2]), slice(x0, x0 + logits.shape[3])
            weighted = logits[:, dz] * gaussian[dz].astype(np.float32)
            ring[:, *place] = (ring[:, *place].astype(np.float32) + weighted).astype(np.float16)
            weights[place] = (weights[place].astype(np.float32) + gaussian[dz].astype(np.float32)).astype(np.float16)

    def finish(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        for z in range(*planes):
            plane = z % ring.shape[1]
            ring[:, plane] = (ring[:, plane].astype(np.float32) / weights[plane].astype(np.float32)).astype(np.float16)

    def average(self, rings: Sequence[Array], planes: tuple[int, int]) -> None:
        for z in range(*planes):
            plane = z % rings[0].shape[1]
            for other in rings[1:]:
                rings[0][:, plane] += other[:, plane]
            rings[0][:, plane] = (rings[0][:, plane].astype(np.float32) / np.float32(len(rings))).astype(np.float16)

    def clear(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        for z in range(*planes):
            ring[:, z % ring.shape[1]] = 0
            weights[z % ring.shape[1]] = 0

    def restore_argmax(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        best = np.full(labels.shape, -np.inf, np.float16 if in_half else np.float32)
        labels[...] = values[0]
        for channel in range(ring.shape[0]):
            logits = _interpolate(ring[channel], taps_zyx, in_half)
            better = logits > best
            best[better] = logits[better]
            labels[better] = values[channel]

    def restore_regions(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        labels[...] = 0
        for channel in range(ring.shape[0]):
            labels[_interpolate(ring[channel], taps_zyx, in_half) > 0] = values[channel]

    def bounds(self, labels: Array, count: int) -> NDArray[np.int64]:
        if labels.size and int(labels.max()) >= count:
            raise ValueError(f"labels: got a label {int(labels.max())}, expected at most {count - 1}")
        table = np.zeros((count, 7), np.int64)
        for label in range(count):
            where = np.nonzero(labels == label)
            if where[0].size:
                table[label] = *(a.min() for a in where), *(a.max() + 1 for a in where), where[0].size
        return table

    def value_range(self, image: Array) -> tuple[float, float]:
        return float(image.min()), float(image.max())

    def moments(self, image: Array) -> tuple[float, float]:
        values = image.astype(np.float64)
        return float(values.sum()), float((values * values).sum())

    def box_nonzero(self, image: Array) -> Box | None:
        return _box_of(image != 0)

    def components(self, labels: Array) -> Array:
        from scipy import ndimage

        result = np.zeros(labels.shape, np.int32)
        found = 0
        for label in np.unique(labels[labels > 0]):
            parts, count = ndimage.label(labels == label, structure=np.ones((3, 3, 3), bool))
            result[parts > 0] = parts[parts > 0] + found
            found += count
        return result

    def piece_bounds(self, components: Array) -> NDArray[np.int64]:
        from scipy import ndimage

        table = np.zeros((int(components.max(initial=0)) + 1, 7), np.int64)
        table[:, 6] = np.bincount(components.ravel(), minlength=len(table))
        table[0] = 0
        for number, box in enumerate(ndimage.find_objects(components), start=1):
            if box is not None:
                table[number, :6] = *(part.start for part in box), *(part.stop for part in box)
        return table


def _resample_axis(image: NDArray[np.float64], axis: int, span: Span, order: int) -> NDArray[np.float64]:
    """One axis of resample_spline: edge extension long enough to be exact, prefilter, then order + 1 taps."""
    from scipy import ndimage

    if span.source_size == span.target_size:
        start = span.target_start - span.source_start
        return np.asarray(image.take(range(start, start + span.target_stop - span.target_start), axis))
    moved = np.moveaxis(image, axis, 0)
    length, coordinates = moved.shape[0], span.coordinates()
    if order == 0:
        index = np.clip(np.floor(coordinates + 0.5).astype(int), 0, length - 1)
        return np.asarray(np.moveaxis(moved[index], 0, axis))
    pad = 0 if order == 1 else 40
    padded = np.pad(moved, [(pad, pad)] + [(0, 0)] * (moved.ndim - 1), mode="edge")
    spline = ndimage.spline_filter1d(padded, order, axis=0, mode="mirror") if order == 3 else padded
    result = np.zeros((len(coordinates), *moved.shape[1:]))
    position = coordinates + pad
    first = np.floor(position).astype(int) - (1 if order == 3 else 0)
    for tap in range(order + 1):
        weight = _spline_weight(position - (first + tap), order)
        index = np.clip(first + tap, 0, padded.shape[0] - 1)
        result += weight.reshape(-1, *[1] * (moved.ndim - 1)) * spline[index]
    return np.asarray(np.moveaxis(result, 0, axis))


def _spline_weight(distance: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Value of the centred B-spline of order 1 or 3 at a distance in samples."""
    t = np.abs(distance)
    if order == 1:
        return np.asarray(np.maximum(1 - t, 0))
    inner = (4 - 6 * t**2 + 3 * t**3) / 6
    outer = np.maximum(2 - t, 0) ** 3 / 6
    return np.asarray(np.where(t < 1, inner, outer))


def _interpolate(channel: NDArray[np.float16], taps_zyx: TapsZyx, in_half: bool) -> NDArray[Any]:
    """Separable linear interpolation of a float16 (r, y, x) channel in float32, rounded to float16 at the end where wanted."""
    result = channel.astype(np.float32)
    for axis, taps in enumerate(taps_zyx):
        shape = [1, 1, 1]
        shape[axis] = -1
        weight = taps.weight.reshape(shape)
        lower, upper = result.take(taps.lower, axis), result.take(taps.upper, axis)
        result = lower + weight * (upper - lower)
    return result.astype(np.float16) if in_half else result


def _box_of(mask: NDArray[np.bool_]) -> Box | None:
    spans = []
    for axis in range(3):
        where = np.nonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        if not where.size:
            return None
        spans.append((int(where[0]), int(where[-1]) + 1))
    return Box.spanning(spans)
