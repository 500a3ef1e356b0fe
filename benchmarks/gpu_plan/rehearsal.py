"""The CUDA device's own host code, run without a GPU: every allocation and launch is noted in a ledger, nothing is computed.

This is how the memory of a run is planned before its first allocation. `CudaKernels` allocates through `empty` alone, so what
it would allocate, and when that would be freed, is what happens here. Only `components` depends on values; the most that it
can need is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.benchmarks.gpu_plan import cost
from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.benchmarks.gpu_plan.ledger import Ledger
from flare_trt.benchmarks.gpu_plan.shape_array import ShapeArray
from flare_trt.kernels.contract import Array, Intensity, Span, TapsZyx
from flare_trt.kernels.cuda.device import CudaKernels
from flare_trt.kernels.cuda.launch import Launch


class Rehearsal(CudaKernels):
    """See contract.Kernels. Arrays are ShapeArrays; a download gives zeros that take no memory."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def launch(self, kernel: str, launch: Launch, *arguments: Any) -> None:
        """Nothing runs; the step is noted by the method that launches."""

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def trim(self) -> None:
        """Nothing is kept."""

    def upload(self, source: Array) -> Array:
        if isinstance(source, ShapeArray):
            return self.contiguous(source)
        with self.ledger.step("upload", Cost(source.nbytes, 0), bound="copy"):
            return self.empty(source.shape, source.dtype)

    def download(self, array: Array) -> NDArray[Any]:
        with self.ledger.step("download", Cost(array.nbytes, 0), bound="copy"):
            whole = self.contiguous(array)
            return np.broadcast_to(np.zeros((), whole.dtype), whole.shape)

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        return ShapeArray.empty(shape, dtype, self.ledger)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        with self.ledger.step("zeros", Cost(nbytes, 0)):
            return self.empty(shape, dtype)

    def normalise(self, image: Array, intensity: Intensity) -> Array:
        with self.ledger.step("normalise", cost.normalise(image.size, image.dtype.itemsize)):
            return super().normalise(image, intensity)

    def resample_spline(
        self, image: Array, spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int], clamp: tuple[float, float]
    ) -> Array:
        with self.ledger.step("resample", cost.resample_spline(image.shape, spans_zyx, order_zyx)):
            return super().resample_spline(image, spans_zyx, order_zyx, clamp)

    def blend(self, ring: Array, weights: Array, logits: Array, gaussian: Array, corner_zyx: tuple[int, int, int]) -> None:
        with self.ledger.step("blend", cost.blend(ring.shape[0], gaussian.size)):
            super().blend(ring, weights, logits, gaussian, corner_zyx)

    def finish(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        with self.ledger.step("finish", cost.finish(ring.shape[0], _voxels(weights, planes))):
            super().finish(ring, weights, planes)

    def average(self, rings: Sequence[Array], planes: tuple[int, int]) -> None:
        with self.ledger.step("average", cost.average(len(rings), rings[0].shape[0], _voxels(rings[0][0], planes))):
            super().average(rings, planes)

    def clear(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        with self.ledger.step("clear", cost.clear(ring.shape[0], _voxels(weights, planes))):
            super().clear(ring, weights, planes)

    def _restore(self, kernel: str, source: tuple[Array, TapsZyx], values: NDArray[Any], labels: Array, in_half: bool) -> None:
        ring, taps_zyx = source
        read = [len(np.union1d(taps.lower, taps.upper)) for taps in taps_zyx]
        with self.ledger.step("restore", cost.restore(ring.shape[0], int(np.prod(read)), labels.size)):
            super()._restore(kernel, source, values, labels, in_half)

    def components(self, labels: Array) -> Array:
        """As components.label_components allocates where one label's box is the whole array."""
        with self.ledger.step("components", cost.bounds(labels.size) + Cost(4 * labels.size, 0)):
            result = self.empty(labels.shape, np.int32)
            _box = self.empty(labels.shape, np.uint8), self.empty(labels.shape, np.int32)
            return result


def _voxels(plane_first: Array, planes: tuple[int, int]) -> int:
    """Voxels of a range of planes of a (z, y, x) array."""
    return int((planes[1] - planes[0]) * np.prod(plane_first.shape[1:], dtype=np.int64))
