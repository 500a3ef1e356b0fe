"""The CUDA device: contract.Kernels on CuPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.box import Box
from flare_trt.kernels.checks import checks_arguments
from flare_trt.kernels.contract import Array, Intensity, Span, TapsZyx
from flare_trt.kernels.cuda import reduce
from flare_trt.kernels.cuda.components import label_components, piece_bounds
from flare_trt.kernels.cuda.gpu import Gpu
from flare_trt.kernels.cuda.launch import Launch
from flare_trt.kernels.cuda.resample import resample
from flare_trt.kernels.in_steps import ResamplesInSteps


@checks_arguments
class CudaKernels(Gpu, ResamplesInSteps):
    """See contract.Kernels for what each method does. Work is queued on CuPy's current stream; only results that go to the
    host wait for it."""

    name = "cuda"

    def normalise(self, image: Array, intensity: Intensity) -> Array:
        result = self.empty(image.shape, np.float32)
        window = intensity.low_hu, intensity.high_hu, intensity.mean_hu, max(intensity.std_hu, 1e-8)
        size = Launch.over_elements(image.size)
        self.launch(f"normalise_{image.dtype}", size, image, result, np.uint64(image.size), *map(float, window))
        return result

    def zero_outside(self, image: Array, inside: Array) -> None:
        self.launch("zero_outside", Launch.over_elements(image.size), image, inside, np.uint64(image.size))

    def resample_spline(
        self, image: Array, spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int], clamp: tuple[float, float]
    ) -> Array:
        return resample(self, image, spans_zyx, order_zyx, (float(clamp[0]), float(clamp[1])))

    def blend(self, ring: Array, weights: Array, logits: Array, gaussian: Array, corner_zyx: tuple[int, int, int]) -> None:
        arrays = ring, weights, logits, gaussian
        self.launch("blend", Launch.over_volume(gaussian.shape), *arrays, *ring.shape, *gaussian.shape, *corner_zyx)

    def finish(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        self.launch("finish", _over_planes(ring, planes), ring, weights, *ring.shape, planes[0], planes[1] - planes[0])

    def average(self, rings: Sequence[Array], planes: tuple[int, int]) -> None:
        first = rings[0]
        for number, other in enumerate(rings[1:], start=2):
            divisor = float(number) if number == len(rings) else 1.0
            place = *first.shape, planes[0], planes[1] - planes[0]
            self.launch("add_fold", _over_planes(first, planes), first, other, *place, divisor)

    def clear(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        self.launch("clear", _over_planes(ring, planes), ring, weights, *ring.shape, planes[0], planes[1] - planes[0])

    def restore_argmax(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        self._restore("restore_argmax", (ring, taps_zyx), values, labels, in_half)

    def restore_regions(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        self._restore("restore_regions", (ring, taps_zyx), values, labels, in_half)

    def _restore(self, kernel: str, source: tuple[Array, TapsZyx], values: NDArray[Any], labels: Array, in_half: bool) -> None:
        ring, taps_zyx = source
        tables = (
            self.upload(np.concatenate([taps.lower for taps in taps_zyx]).astype(np.int32)),
            self.upload(np.concatenate([taps.upper for taps in taps_zyx]).astype(np.int32)),
            self.upload(np.concatenate([taps.weight for taps in taps_zyx]).astype(np.float32)),
            self.upload(np.asarray(values, labels.dtype)),
        )
        size = Launch.over_volume(labels.shape)
        self.launch(f"{kernel}_{labels.dtype}", size, ring, *tables, labels, *ring.shape, *labels.shape, int(in_half))

    def bounds(self, labels: Array, count: int) -> NDArray[np.int64]:
        return reduce.label_bounds(self, labels, count)

    def value_range(self, image: Array) -> tuple[float, float]:
        return reduce.value_range(self, image)

    def moments(self, image: Array) -> tuple[float, float]:
        return reduce.moments(self, image)

    def box_nonzero(self, image: Array) -> Box | None:
        return reduce.box_nonzero(self, image)

    def components(self, labels: Array) -> Array:
        return label_components(self, labels)

    def piece_bounds(self, components: Array) -> NDArray[np.int64]:
        return piece_bounds(self, components)

    def select_labels(self, labels: Array, chosen: NDArray[np.bool_]) -> Array:
        mask, flags = self.empty(labels.shape, np.uint8), self.upload(chosen.astype(np.uint8))
        size = Launch.over_elements(labels.size)
        self.launch(f"select_labels_{labels.dtype}", size, labels, flags, mask, np.uint64(labels.size))
        return mask

    def keep_pieces(self, labels: Array, components: Array, kept: NDArray[np.bool_]) -> None:
        flags = self.upload(kept.astype(np.uint8))
        size = Launch.over_elements(labels.size)
        self.launch(f"keep_pieces_{labels.dtype}", size, labels, components, flags, len(kept), np.uint64(labels.size))


def _over_planes(ring: Array, planes: tuple[int, int]) -> Launch:
    return Launch.over_volume((planes[1] - planes[0], *ring.shape[2:]))
