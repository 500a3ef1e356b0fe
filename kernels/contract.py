"""The contract that every kernel device fulfils: `reference` (the definition), `native` (CPU) and `cuda`.

Arrays are C-contiguous, (z, y, x) or (c, z, y, x), and live where the device's `upload` puts them. A kernel never keeps a
reference to an argument. An array of the wrong dtype, rank or layout raises `TypeError` or `ValueError` before anything is
written. Lists of per-axis values are in (z, y, x) order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from flare_trt.kernels.box import Box

#: An array on the kernels' device: numpy.ndarray for reference and native, cupy.ndarray for cuda.
Array = Any


@dataclass(frozen=True)
class Intensity:
    """Normalisation of a channel: clip to [low_hu, high_hu], subtract mean_hu, divide by max(std_hu, 1e-8), in float32.

    All of nnU-Net's schemes come to this for one scan; those without a clip have infinite limits. The unit is HU for CT alone.
    Source: nnunetv2/preprocessing/normalization/default_normalization_schemes.py.
    """

    low_hu: float
    high_hu: float
    mean_hu: float
    std_hu: float


@dataclass(frozen=True)
class Span:
    """How one axis is resampled: `target_size` samples that cover the same extent as `source_size` samples.

    Target sample i lies at source coordinate (i + 0.5) * source_size / target_size - 0.5 (half-voxel centres,
    scipy.ndimage.zoom with grid_mode=True). Only targets [target_start, target_stop) are made, from a slab that holds the
    source samples [source_start, source_start + length of the array's axis). Where the slab ends short of the axis'
    true end, the caller has left enough samples around it (`halo`); a true end is extended by its edge sample for ever.
    """

    source_size: int
    target_size: int
    target_start: int
    target_stop: int
    source_start: int = 0

    @staticmethod
    def whole(source_size: int, target_size: int) -> Span:
        """The span that resamples a whole axis at once."""
        return Span(source_size, target_size, 0, target_size)

    def coordinates(self) -> NDArray[np.float64]:
        """Position of each target sample, in samples of the slab handed in."""
        index = np.arange(self.target_start, self.target_stop, dtype=np.float64)
        return (index + 0.5) * (self.source_size / self.target_size) - 0.5 - self.source_start

    def source_needed(self, order: int) -> tuple[int, int]:
        """Half-open range of source samples that a slab needs for these targets at this spline order.

        A cubic B-spline's prefilter forgets by a factor 0.268 a sample: 16 samples leave 7e-10 of an edge. An axis that is
        copied needs its targets alone.
        """
        if self.source_size == self.target_size:
            return self.target_start, self.target_stop
        scale = self.source_size / self.target_size
        halo = {0: 1, 1: 1, 3: 18}[order]
        first = int(np.floor((self.target_start + 0.5) * scale - 0.5)) - halo
        last = int(np.floor((self.target_stop - 0.5) * scale - 0.5)) + 1 + halo
        return max(0, first), min(self.source_size, last + 1)


@dataclass(frozen=True)
class Taps:
    """Linear interpolation along one axis: target i = (1 - weight[i]) * source[lower[i]] + weight[i] * source[upper[i]].

    Nearest neighbour is the case lower == upper. Indices count from the start of the array handed to the kernel, so that a
    ring buffer's planes may be named in any order.
    """

    lower: NDArray[np.int32]
    upper: NDArray[np.int32]
    weight: NDArray[np.float32]

    def __getitem__(self, targets: slice) -> Taps:
        """The taps of some of the targets."""
        return Taps(self.lower[targets], self.upper[targets], self.weight[targets])


#: Taps of each axis.
TapsZyx = tuple[Taps, Taps, Taps]


class Kernels(Protocol):
    """What a kernel device offers. `name` is "reference", "native" or "cuda"."""

    name: str

    def active(self) -> AbstractContextManager[Any]:
        """Makes this device the current one. Whatever is done with its arrays beside calling kernels is done inside."""

    def used_bytes(self) -> int:
        """Memory of this device that is in use now: this process' on the host, everyone's on a GPU."""

    def trim(self) -> None:
        """Give back to the device what is kept for later allocations."""

    def upload(self, source: Array) -> Array:
        """A host array, or one of this device, on this device and C-contiguous; copied only where it is not yet."""

    def download(self, array: Array) -> NDArray[Any]:
        """Bring an array of this device to the host."""

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        """Uninitialised array on this device."""

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Array:
        """Zeroed array on this device."""

    def normalise(self, image: Array, intensity: Intensity) -> Array:
        """int16 or float32 HU (z, y, x) -> float32 of the same shape."""

    def zero_outside(self, image: Array, inside: Array) -> None:
        """Set a float32 image (z, y, x) to 0, in place, where uint8 inside (z, y, x) is 0."""

    def resample_spline(
        self, image: Array, spans_zyx: tuple[Span, Span, Span], order_zyx: tuple[int, int, int], clamp: tuple[float, float]
    ) -> Array:
        """Resample float32 (z, y, x) by separable splines of order 0, 1 or 3 an axis; returns float32.

        Equals skimage.transform.resize(mode="edge", anti_aliasing=False) where all orders are equal: order 3 is an
        interpolating cubic B-spline of the edge-extended signal; order 0 takes source floor(coordinate + 0.5). An axis
        whose span maps each sample to itself is copied. The result is clamped to `clamp` = (lowest, highest); where
        order_zyx[0] is 0 or 1 and an in-plane order is 3, each slice is clamped to the range of its own source slice instead,
        before slices are mixed (nnunetv2/preprocessing/resampling/default_resampling.py resizes such slices one at a time).
        """

    def resample_scan(
        self,
        scan: Array,
        intensity: Intensity,
        spans_zyx: tuple[Span, Span, Span],
        order_zyx: tuple[int, int, int],
        clamp: tuple[float, float],
    ) -> Array:
        """`upload`, `normalise` and `resample_spline` in one: int16 or float32 HU as they lie in a scan, cropped, turned or
        flipped, on the host or this device; the result is bit by bit what the three give."""

    def blend(self, ring: Array, weights: Array, logits: Array, gaussian: Array, corner_zyx: tuple[int, int, int]) -> None:
        """Add one tile to a ring buffer: ring += logits * gaussian, weights += gaussian.

        ring (c, r, y, x) float16 and weights (r, y, x) float16 hold the planes z of the network grid at z % r; logits
        (c, pz, py, px) float32; gaussian (pz, py, px) float16; pz <= r. The tile's corner is in network-grid voxels; the
        tile lies inside in y and x. Product and sum are taken in float32 and rounded to float16 when stored
        (nnunetv2/inference/predict_from_raw_data.py accumulates in torch.half).
        """

    def finish(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        """Divide ring by weights, in place, for network-grid planes [planes[0], planes[1]) (each at z % r), to float16."""

    def average(self, rings: Sequence[Array], planes: tuple[int, int]) -> None:
        """Mean of finished rings (one a fold) over these planes, written into rings[0]; float16 sums, then one division."""

    def clear(self, ring: Array, weights: Array, planes: tuple[int, int]) -> None:
        """Zero these planes of ring and weights for their next use."""

    def restore_argmax(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        """Interpolate finished logits linearly, take the first largest channel c and write values[c].

        ring (c, r, y, x) float16; labels (tz, ty, tx) uint8 or uint16, one voxel a tap; values of the same dtype. With
        `in_half` each interpolated logit is rounded to float16 before it is compared, as nnU-Net's default resampling keeps
        logits in half precision; its torch one keeps float32.
        """

    def restore_regions(self, ring: Array, taps_zyx: TapsZyx, values: NDArray[Any], labels: Array, in_half: bool = True) -> None:
        """As restore_argmax for region-based nets: writes values[c] of the last channel c whose logit is > 0, else 0."""

    def bounds(self, labels: Array, count: int) -> NDArray[np.int64]:
        """Per-label boxes and sizes of uint8 or uint16 (z, y, x) labels 0..count-1, on the host.

        Row k = (z_start, y_start, x_start, z_stop, y_stop, x_stop, voxels); an absent label has a row of zeros. A label
        >= count raises ValueError.
        """

    def value_range(self, image: Array) -> tuple[float, float]:
        """Smallest and largest value of an int16 or float32 array."""

    def moments(self, image: Array) -> tuple[float, float]:
        """Sums of the values and of their squares, in float64, of an int16 or float32 array; each device adds in its own order."""

    def box_nonzero(self, image: Array) -> Box | None:
        """Box of voxels != 0; None where there is none (nnunetv2/preprocessing/cropping/cropping.py, whose hole filling
        never moves a box)."""

    def components(self, labels: Array) -> Array:
        """26-connected components of each label of uint8 or uint16 (z, y, x).

        int32, 0 where the label is 0, else 1..n in any order.
        """

    def piece_bounds(self, components: Array) -> NDArray[np.int64]:
        """Boxes and sizes of the components 0..n that `components` numbered, on the host; rows as in `bounds`, row 0 of zeros."""

    def keep_pieces(self, labels: Array, components: Array, kept: NDArray[np.bool_]) -> None:
        """Set labels to 0, in place, where a component k > 0 of int32 `components` has not kept[k].

        Components beyond `kept` stay.
        """

    def select_labels(self, labels: Array, chosen: NDArray[np.bool_]) -> Array:
        """uint8 1 where (z, y, x) labels are among the chosen, of which there is one for each value of their type, else 0."""
