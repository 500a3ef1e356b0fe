"""resample_spline on the GPU: one banded pass an axis, in the order y, x, z."""

from __future__ import annotations

import numpy as np

from flare_trt.kernels.contract import Array, Span
from flare_trt.kernels.cuda.band import band_of
from flare_trt.kernels.cuda.gpu import Gpu
from flare_trt.kernels.cuda.launch import Launch
from flare_trt.kernels.cuda.reduce import slice_ranges

#: (z, y, x)
Spans = tuple[Span, Span, Span]
Orders = tuple[int, int, int]
Clamp = tuple[float, float]

_NO_CLAMP = (-np.inf, np.inf)


def resample(gpu: Gpu, image: Array, spans: Spans, orders: Orders, clamp: Clamp) -> Array:
    """See contract.Kernels.resample_spline. Volumes between the passes are float32; an axis that is copied whole has none."""
    by_slice = orders[0] < 3 and max(orders) == 3
    in_plane = [axis for axis in (1, 2) if not _copied_whole(spans[axis], image.shape[axis])]
    passes = in_plane if in_plane and _copied_whole(spans[0], image.shape[0]) else [*in_plane, 0]
    result = image
    for axis in passes:
        if axis == 0 and by_slice and in_plane:
            _clamp_slices(gpu, result, image)
        last = axis == passes[-1]
        result = _resample_axis(gpu, result, axis, (spans[axis], orders[axis]), clamp if last and not by_slice else _NO_CLAMP)
    if by_slice and 0 not in passes:
        _clamp_slices(gpu, result, image)
    return result


def _copied_whole(span: Span, length: int) -> bool:
    kept = span.target_start == span.source_start and span.target_stop - span.target_start == length
    return kept and span.source_size == span.target_size


def _clamp_slices(gpu: Gpu, result: Array, image: Array) -> None:
    """Clamp each slice of `result` to the range of the same slice of `image`."""
    ranges = slice_ranges(gpu, image, image.shape[0])
    gpu.launch("clamp_slices", Launch.over_volume(result.shape), result, ranges, *result.shape)


def _resample_axis(gpu: Gpu, source: Array, axis: int, how: tuple[Span, int], clamp: Clamp) -> Array:
    band = band_of(*how)
    shape = [*source.shape]
    shape[axis] = len(band.first)
    target = gpu.empty(shape, np.float32)
    tables = gpu.upload(band.first), gpu.upload(band.weights), len(band.weights)
    gpu.launch("resample_axis", Launch.over_volume(shape), source, target, *tables, axis, source.shape[axis], *shape, *clamp)
    return target
