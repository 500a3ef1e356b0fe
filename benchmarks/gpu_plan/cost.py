"""What each CUDA kernel has to move and to compute, so that a card's bandwidth and peak give the least time it can take.

`bytes_moved` counts each array once, as if caches were perfect; `flops` counts additions, multiplications and divisions. Sizes
are in voxels. Real traffic is never less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from flare_trt.kernels.contract import Span
from flare_trt.kernels.cuda.band import taps_of_order

_HALF, _FLOAT, _LABEL = 2, 4, 1
#: float operations of one linear mix: subtract, multiply, add.
_MIX = 3


@dataclass(frozen=True)
class Cost:
    """Bytes to and from device memory, and floating-point operations."""

    bytes_moved: int
    flops: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bytes_moved + other.bytes_moved, self.flops + other.flops)

    def seconds(self, bytes_per_second: float, flops_per_second: float) -> float:
        """The least time on a card of this bandwidth and float32 peak: whichever of the two takes longer."""
        return max(self.bytes_moved / bytes_per_second, self.flops / flops_per_second)


def normalise(voxels: int, itemsize: int) -> Cost:
    """int16 (itemsize 2) or float32 (4) to float32: two comparisons count as one operation each."""
    return Cost(voxels * (itemsize + _FLOAT), 4 * voxels)


def zero_outside(voxels: int) -> Cost:
    """A mask of a byte a voxel; where all of it is inside nothing is written."""
    return Cost(voxels, 0)


def moments(voxels: int, itemsize: int) -> Cost:
    """One read, a multiplication and two additions a voxel."""
    return Cost(itemsize * voxels, 3 * voxels)


def resample_axis(source_voxels: int, target_voxels: int, taps: int) -> Cost:
    """One banded pass: multiply and add a tap."""
    return Cost(_FLOAT * (source_voxels + target_voxels), 2 * taps * target_voxels)


def resample_spline(shape_zyx: Sequence[int], spans_zyx: Sequence[Span], order_zyx: Sequence[int]) -> Cost:
    """The passes over y, x and z; an axis that keeps its size is copied with another or not at all."""
    shape, total = list(shape_zyx), Cost(0, 0)
    for axis in (1, 2, 0):
        span = spans_zyx[axis]
        targets = span.target_stop - span.target_start
        if span.source_size == span.target_size and targets == shape[axis]:
            continue
        before = prod(shape)
        shape[axis] = targets
        taps = 1 if span.source_size == span.target_size else taps_of_order(order_zyx[axis])
        total += resample_axis(before, prod(shape), taps)
    return total if total.bytes_moved else resample_axis(prod(shape), prod(shape), 1)


def blend(channels: int, tile_voxels: int) -> Cost:
    """Reads logits and gaussian once; reads and writes ring and weights."""
    a_channel = Cost(tile_voxels * (_FLOAT + 2 * _HALF), 2 * tile_voxels)
    weights = Cost(tile_voxels * (_HALF + 2 * _HALF), tile_voxels)
    return Cost(channels * a_channel.bytes_moved, channels * a_channel.flops) + weights


def finish(channels: int, plane_voxels: int) -> Cost:
    """Reads and writes the planes of the ring, reads their weights."""
    return Cost(plane_voxels * _HALF * (2 * channels + 1), channels * plane_voxels)


def average(folds: int, channels: int, plane_voxels: int) -> Cost:
    """One pass a further fold: two reads, one write, an addition and a division."""
    return Cost((folds - 1) * 3 * _HALF * channels * plane_voxels, (folds - 1) * 2 * channels * plane_voxels)


def clear(channels: int, plane_voxels: int) -> Cost:
    """Writes the planes of ring and weights."""
    return Cost(_HALF * (channels + 1) * plane_voxels, 0)


def restore(channels: int, ring_voxels: int, label_voxels: int) -> Cost:
    """`ring_voxels` are those that the taps read, one channel; seven mixes a channel and label voxel, and a comparison."""
    return Cost(_HALF * channels * ring_voxels + _LABEL * label_voxels, channels * label_voxels * (7 * _MIX + 1))


def value_range(voxels: int, itemsize: int) -> Cost:
    """Also the cost of box_nonzero: one read and two comparisons a voxel."""
    return Cost(itemsize * voxels, 2 * voxels)


def bounds(voxels: int) -> Cost:
    """One read a voxel, whole numbers alone."""
    return Cost(_LABEL * voxels, 0)
