"""Calls of every CUDA kernel on arrays of a scan's size, with what each has to move and to compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flare_trt.benchmarks.gpu_plan import cost
from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.benchmarks.kernels.kernel_cases import CHANNELS, CT_SHAPE
from flare_trt.kernels import Intensity, Kernels, Span
from flare_trt.kernels.contract import Array, Taps

__all__ = ["CT_SHAPE", "KernelCall", "Shape", "image_calls", "label_calls", "resample_calls", "ring_calls"]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class KernelCall:
    """One kernel and its arguments."""

    name: str
    cost: Cost
    run: Callable[[], Any]


def image_calls(kernels: Kernels, shape: Shape) -> list[KernelCall]:
    """Kernels that pass once over an int16 CT."""
    host = np.random.default_rng(0).integers(-1024, 1500, shape).astype(np.int16)
    image, window = kernels.upload(host), Intensity(-973.0, 295.0, 80.0, 141.0)
    scaled, inside = kernels.zeros(shape, np.float32), kernels.upload(np.ones(shape, np.uint8))
    one_read = cost.value_range(image.size, 2)
    return [
        KernelCall("normalise", cost.normalise(image.size, 2), lambda: kernels.normalise(image, window)),
        KernelCall("value_range", one_read, lambda: kernels.value_range(image)),
        KernelCall("moments", cost.moments(image.size, 2), lambda: kernels.moments(image)),
        KernelCall("zero_outside", cost.zero_outside(image.size), lambda: kernels.zero_outside(scaled, inside)),
        KernelCall("box_nonzero", one_read, lambda: kernels.box_nonzero(image)),
    ]


def label_calls(kernels: Kernels, shape: Shape) -> list[KernelCall]:
    """Kernels that pass over a label map: thirteen bricks along the diagonal."""
    host = np.zeros(shape, np.uint8)
    for label in range(1, CHANNELS):
        low = [size * (label - 1) // CHANNELS for size in shape]
        high = [start + max(1, size // 4) for start, size in zip(low, shape, strict=True)]
        host[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))] = label
    labels = kernels.upload(host)
    components = kernels.components(labels)
    every = np.ones(int(kernels.piece_bounds(components).shape[0]), bool)
    every_label = np.ones(256, bool)
    passes = cost.bounds(labels.size)
    numbers = Cost(4 * labels.size, 0)
    return [
        KernelCall("bounds", passes, lambda: kernels.bounds(labels, CHANNELS)),
        KernelCall("components", passes + Cost(4 * labels.size, 0), lambda: kernels.components(labels)),
        KernelCall("select_labels", passes + Cost(labels.size, 0), lambda: kernels.select_labels(labels, every_label)),
        KernelCall("piece_bounds", numbers, lambda: kernels.piece_bounds(components)),
        KernelCall("keep_pieces", passes + numbers, lambda: kernels.keep_pieces(labels, components, every)),
    ]


def resample_calls(kernels: Kernels, shape: Shape) -> list[KernelCall]:
    """Cubic resampling: of an int16 CT, then of a normalised one finer and coarser in plane, and along every axis."""
    image = kernels.upload(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    z, y, x = shape
    calls = [_scan_call(kernels, shape, (z, y * 21 // 25, x * 21 // 25))]
    for target in ((z, y * 21 // 25, x * 21 // 25), (z, y // 2, x // 2), (z // 2, y // 2, x // 2), (2 * z, y // 2, x // 2)):
        calls.append(_resample_call(kernels, image, target))
    return calls


def _scan_call(kernels: Kernels, shape: Shape, target: Shape) -> KernelCall:
    scan = kernels.upload(np.random.default_rng(0).integers(-1024, 1500, shape).astype(np.int16))
    spans, orders, window = _spans(shape, target), (3, 3, 3), Intensity(-973.0, 295.0, 80.0, 141.0)
    needed = cost.normalise(scan.size, 2) + cost.resample_spline(shape, spans, orders)
    name = f"resample_scan to {' x '.join(map(str, target[::-1]))}"
    return KernelCall(name, needed, lambda: kernels.resample_scan(scan, window, spans, orders, (-5.0, 5.0)))


def _resample_call(kernels: Kernels, image: Array, target: Shape) -> KernelCall:
    spans, orders = _spans(image.shape, target), (3, 3, 3)
    needed = cost.resample_spline(image.shape, spans, orders)
    name = f"resample_spline to {' x '.join(map(str, target[::-1]))}"
    return KernelCall(name, needed, lambda: kernels.resample_spline(image, spans, orders, (-5.0, 5.0)))


def _spans(shape: Shape, target: Shape) -> tuple[Span, Span, Span]:
    z, y, x = (Span.whole(a, b) for a, b in zip(shape, target, strict=True))
    return z, y, x


def ring_calls(kernels: Kernels, shape: Shape) -> list[KernelCall]:
    """One tile into a ring of logits, half the ring's planes finished, averaged and cleared, and the ring made labels."""
    depth, height, width = max(2, shape[0] * 18 // 25), max(2, shape[1] // 2), max(2, shape[2] // 2)
    tile = depth, max(1, height * 5 // 8), max(1, width * 5 // 8)
    rng, half = np.random.default_rng(0), (0, depth // 2)
    rings = [kernels.zeros((CHANNELS, depth, height, width), np.float16) for _ in range(2)]
    for channel in range(CHANNELS):
        rings[0][channel] = kernels.upload(rng.standard_normal((depth, height, width)).astype(np.float16))
    weights = kernels.upload(rng.uniform(1, 2, (depth, height, width)).astype(np.float16))
    logits, gaussian = kernels.zeros((CHANNELS, *tile), np.float32), kernels.upload(rng.uniform(0.1, 1, tile).astype(np.float16))
    ring, half_voxels = rings[0], (depth // 2) * height * width
    scratch, scratch_weights = rings[1], kernels.upload(rng.uniform(1, 2, (depth, height, width)).astype(np.float16))
    calls = _restore_calls(kernels, ring, shape)  # first, while the ring's logits differ
    return [
        *calls,
        KernelCall("blend", cost.blend(CHANNELS, gaussian.size), lambda: kernels.blend(ring, weights, logits, gaussian, (1, 0, 0))),
        KernelCall("finish", cost.finish(CHANNELS, half_voxels), lambda: kernels.finish(scratch, scratch_weights, half)),
        KernelCall("average of 2", cost.average(2, CHANNELS, half_voxels), lambda: kernels.average(rings, half)),
        KernelCall("clear", cost.clear(CHANNELS, half_voxels), lambda: kernels.clear(scratch, scratch_weights, half)),
    ]


def _restore_calls(kernels: Kernels, ring: Array, shape: Shape) -> list[KernelCall]:
    values, labels = np.arange(CHANNELS, dtype=np.uint8), kernels.empty(shape, np.uint8)
    z, y, x = (_taps(a, b) for a, b in zip(ring.shape[1:], shape, strict=True))
    needed = cost.restore(CHANNELS, ring[0].size, labels.size)
    return [
        KernelCall("restore_argmax", needed, lambda: kernels.restore_argmax(ring, (z, y, x), values, labels)),
        KernelCall("restore_regions", needed, lambda: kernels.restore_regions(ring, (z, y, x), values, labels)),
    ]


def _taps(source: int, target: int) -> Taps:
    place = np.clip(Span.whole(source, target).coordinates(), 0, source - 1)
    lower = np.floor(place).astype(np.int32)
    return Taps(lower, np.minimum(lower + 1, source - 1).astype(np.int32), (place - lower).astype(np.float32))
