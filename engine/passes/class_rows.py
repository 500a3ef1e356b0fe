"""Class probabilities of the voxels that labels are restored for: a few rows of all classes at a time, from the ring to disk.

As nnU-Net makes them: interpolated logits, rounded to float16 (but for its torch resampling), through softmax or, for regions, the
sigmoid, in float32 (nnunetv2/inference/export_prediction.py, nnunetv2/utilities/label_handling/label_handling.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.probabilities import Probabilities, StoredAxes
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.scan_view import ScanView
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array, Taps, TapsZyx

#: Interpolated values that are held at once: 2 MB as float32, but one row of all classes at the least.
_ROW_VALUES = 1 << 19
#: Arrays of that size which interpolation, rounding and softmax hold together, and those of one plane of the ring.
_ROW_ARRAYS, _PLANE_ARRAYS = 7, 4


@dataclass(frozen=True)
class ClassRows:
    """Where the probabilities of a pass go: those of `box`; the first tap of each axis is at `first_zyx`, both in the view."""

    kept: Probabilities
    box: Box
    first_zyx: tuple[int, int, int]
    in_half: bool = True

    def write(self, ring: Array, taps_zyx: TapsZyx, offset_zyx: tuple[int, int, int], kernels: Kernels) -> None:
        """The voxels of some taps, whose first ones lie `offset_zyx` behind the pass' first. `ring` holds finished logits."""
        from scipy.special import expit, softmax

        here = Box.spanning(
            (first + offset, first + offset + len(taps.lower))
            for first, offset, taps in zip(self.first_zyx, offset_zyx, taps_zyx, strict=True)
        )
        wanted = here.common(self.box)
        if min(wanted.shape_zyx) <= 0:
            return
        parts = zip(taps_zyx, here.start_zyx, wanted.ranges, strict=True)
        z_taps, y_taps, x_taps = (taps[low - start : high - start] for taps, start, (low, high) in parts)
        for index, z in enumerate(range(*wanted.ranges[0])):
            lower, upper = (kernels.download(ring[:, int(place[index])]) for place in (z_taps.lower, z_taps.upper))
            plane = _mixed(lower, upper, z_taps.weight[index])
            for y, exact in _rows(plane, y_taps, x_taps):
                rows = exact.astype(np.float16).astype(np.float32) if self.in_half else exact
                probabilities = softmax(rows, axis=0) if self.kept.has_background else expit(rows)
                self.kept.write((z, wanted.start_zyx[1] + y, wanted.start_zyx[2]), probabilities)


def probabilities_of(view: ScanView, stage: StageSpec) -> Probabilities:
    """Room on disk for the probabilities of a stage's classes over its view. Raises OutputError."""
    z, y, x = (stage.transpose_forward.index(axis) for axis in range(3))
    axes = StoredAxes(view.ct.grid, view.turn, view.crop, view.turn.transposed((z, y, x)))
    return Probabilities(axes, len(stage.channel_values), stage.activation == "argmax")


def rows_bytes(channels: int, ring_yx: tuple[int, int], width: int) -> int:
    """Memory that `ClassRows.write` takes for a ring of this size and rows of this width."""
    return 4 * (_PLANE_ARRAYS * channels * ring_yx[0] * ring_yx[1] + _ROW_ARRAYS * max(_ROW_VALUES, channels * width))


def _rows(plane: NDArray[np.float32], y: Taps, x: Taps) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, logits (channel, y, x)) of a plane of the ring, interpolated."""
    step = max(1, _ROW_VALUES // (len(plane) * max(plane.shape[2], len(x.lower))))
    for first in range(0, len(y.lower), step):
        part = y[first : first + step]
        rows = _mixed(plane[:, part.lower], plane[:, part.upper], part.weight[:, None])
        yield first, _mixed(rows[..., x.lower], rows[..., x.upper], x.weight)


def _mixed(lower: NDArray[Any], upper: NDArray[Any], weight: Any) -> NDArray[np.float32]:
    low = lower.astype(np.float32)
    mixed: NDArray[np.float32] = upper.astype(np.float32)
    mixed -= low
    mixed *= weight
    mixed += low
    return mixed
