"""The CPU device: C++17 with its own threads, built by setup.py. Checks arguments, then calls the compiled module `_native`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.box import Box
from flare_trt.kernels.checks import checks_arguments
from flare_trt.kernels.contract import Array, Intensity, Kernels, Span, TapsZyx
from flare_trt.kernels.devices import KernelsUnavailableError, native_problem
from flare_trt.kernels.host_memory import HostMemory
from flare_trt.kernels.host_pieces import HostPieces

COMPILED = "flare_trt.kernels.native._native"


def create() -> Kernels:
    """The native device. Raises KernelsUnavailableError where the extension was not built."""
    problem = native_problem()
    if problem:
        raise KernelsUnavailableError(problem)
    return NativeKernels(import_module(COMPILED))


def set_threads(threads: int) -> None:
    """Threads of every later kernel call in this process; 0 = one per processor that it may use (the default)."""
    if threads < 0:
        raise ValueError(f"threads: got {threads}, expected 0 (all processors) or more")
    import_module(COMPILED).set_threads(threads)


@checks_arguments
class NativeKernels(HostMemory, HostPieces):
    """See contract.Kernels for what each method does. Results do not depend on the number of threads or the processor."""

    name = "native"

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def normalise(self, image: Array, intensity: Intensity) -> Array:
        divisor = max(intensity.std_hu, 1e-8)
        return self._compiled.normalise(image, intensity.low_hu, intensity.high_hu, intensity.mean_hu, divisor)

    def resample_spline(
        self, image: Array, spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int], clamp: tuple[float, float]
    ) -> Array:
        return self._compiled.resample(image, _axes(spans_zyx, order_zyx), _limits(order_zyx, clamp))

    def resample_scan(
        self,
        scan: Array,
        intensity: Intensity,
        spans_zyx: tuple[Span, Span, Span],
        order_zyx: tuple[int, int, int],
        clamp: tuple[float, float],
    ) -> Array:
        """Voxels are normalised line by line as they are read, so that no normalised copy of the scan takes memory."""
        to = (intensity.low_hu, intensity.high_hu, intensity.mean_hu, max(intensity.std_hu, 1e-8))
        return self._compiled.resample_scan(scan, to, _axes(spans_zyx, order_zyx), _limits(order_zyx, clamp))

    def blend(self, ring: Array, weights: Array, logits: Array, gaussian: Array, corner_zyx: tuple[int, int, int]) -> None:
        self._compiled.blend(_bits(ring), _bits(weights), logits, _bits(gaussian), corner_zyx)

    def finish(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        self._compiled.finish(_bits(ring), _bits(weights), planes)

    def average(self, rings: Sequence[Array], planes: tuple[int, int]) -> None:
        self._compiled.average([_bits(ring) for ring in rings], planes)

    def clear(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        self._compiled.clear(_bits(ring), planes)
        self._compiled.clear(_bits(weights), planes)

    def restore_argmax(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        self._compiled.restore_argmax(_bits(ring), _arrays(taps_zyx), values, labels, in_half)

    def restore_regions(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        self._compiled.restore_regions(_bits(ring), _arrays(taps_zyx), values, labels, in_half)

    def bounds(self, labels: Array, count: int) -> NDArray[np.int64]:
        table: NDArray[np.int64] = self._compiled.bounds(labels)
        highest = int(table[:, 6].nonzero()[0].max(initial=0))
        if highest >= count and labels.size:
            raise ValueError(f"labels: got a label {highest}, expected at most {count - 1}")
        return table[:count]

    def value_range(self, image: Array) -> tuple[float, float]:
        lowest, highest = self._compiled.value_range(image)
        return lowest, highest

    def moments(self, image: Array) -> tuple[float, float]:
        total, squares = self._compiled.moments(image)
        return total, squares

    def box_nonzero(self, image: Array) -> Box | None:
        corners = self._compiled.box_nonzero(image)
        return None if corners is None else Box(*corners)

    def piece_bounds(self, components: Array) -> NDArray[np.int64]:
        table: NDArray[np.int64] = self._compiled.piece_bounds(components.view(np.uint32))
        return table

    def components(self, labels: Array) -> Array:
        import cc3d

        return np.ascontiguousarray(cc3d.connected_components(labels, connectivity=26, out_dtype=np.uint32)).view(np.int32)


def _bits(halves: NDArray[np.float16]) -> NDArray[np.uint16]:
    """The same memory as the integers that the compiled module takes for float16."""
    return halves.view(np.uint16)


def _axes(spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int]) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """Order and coordinates of each axis; one that is copied has order 0."""
    return tuple(
        (0 if span.source_size == span.target_size else order, span.coordinates())
        for span, order in zip(spans_zyx, order_zyx, strict=True)
    )


def _limits(order_zyx: tuple[int, int, int], clamp: tuple[float, float]) -> tuple[float, float] | None:
    """None where each slice is clamped to its own source slice's range."""
    return None if order_zyx[0] < 3 and max(order_zyx) == 3 else clamp


def _arrays(taps_zyx: TapsZyx) -> tuple[tuple[NDArray[Any], ...], ...]:
    return tuple((taps.lower, taps.upper, taps.weight) for taps in taps_zyx)
