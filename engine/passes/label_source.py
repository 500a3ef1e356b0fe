"""The labels of the stage before, on a network's grid: nnU-Net's cascade sees them as one-hot channels.

Source: nnunetv2/preprocessing/preprocessors/default_preprocessor.py (the labels are cropped with the scan, and a background voxel
outside of its nonzero mask is a label of its own while they are resampled), batchgenerators/augmentations/utils.py
(resize_segmentation), nnunetv2/preprocessing/resampling/resample_torch.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.model.channel_spec import LabelInput
from flare_trt.engine.passes.nonzero_mask import NonzeroMask
from flare_trt.kernels import Span

Codes = NDArray[np.int16]
#: What background outside of the nonzero mask is while labels are resampled.
_OUTSIDE = -1
_CORNERS = tuple(product((0, 1), repeat=3))


@dataclass(frozen=True)
class LabelSource:
    """`labels` (z, y, x) lie on the scan, on the host; None until the stage before has run."""

    spec: LabelInput
    mask: NonzeroMask
    labels: NDArray[Any] | None = None

    def resampled(self, slab: NDArray[Any], inside: NDArray[np.uint8], taps: Sequence[CornerTaps]) -> NDArray[np.uint8]:
        """Numbers of input channels, from 1 up, on the network grid: of a slab of labels (z, y, x) and of the mask there."""
        numbers = np.zeros(max(int(slab.max()), *self.spec.values) + 1, np.int16)
        numbers[[*self.spec.values]] = np.arange(1, len(self.spec.values) + 1)
        values = numbers[slab]
        values[(inside == 0) & (slab == 0)] = _OUTSIDE
        z, y, x = taps
        rows, columns = ((*axis.corners, axis.nearest) for axis in (y, x))
        made = np.zeros([len(axis.nearest) for axis in taps], np.uint8)
        for plane, target in enumerate(made):
            ends = [values[int(index[plane])] for index in (*z.corners, z.nearest)]
            near = ends[2][rows[2]][:, columns[2]]
            corners = [ends[a][rows[b]][:, columns[c]] for a, b, c in _CORNERS]
            unlike = corners[0] != corners[1]
            for corner in corners[2:]:
                unlike |= corners[0] != corner
            at_y, at_x = unlike.nonzero()
            found = [corner[at_y, at_x] for corner in corners]
            shares = [(z.weights[a, plane] * y.weights[b, at_y]) * x.weights[c, at_x] for a, b, c in _CORNERS]
            near[at_y, at_x] = self._winner(found, shares, near[at_y, at_x])
            target[...] = near * (near > 0)
        return made

    def _winner(self, labels: Sequence[Codes], shares: Sequence[NDArray[np.float64]], nearest: Codes) -> Codes:
        """Of the eight corners' labels the one of the largest share; summed in scipy.ndimage's order, so that ties are the same."""
        totals = []
        for label in labels:
            total: NDArray[Any] = shares[0] * (labels[0] == label)
            for other, share in zip(labels[1:], shares[1:], strict=True):
                total += share * (other == label)
            totals.append((total * 1000).astype(np.float16) if self.spec.in_half else total)
        winner, best, near_wins = labels[0].copy(), totals[0].copy(), labels[0] == nearest
        for label, total in zip(labels[1:], totals[1:], strict=True):
            level, better = total == best, total > best
            near_wins = (near_wins & ~better) | ((level | better) & (label == nearest))
            taken = better | (level & (label < winner))
            winner[taken] = label[taken]
            best[better] = total[better]
        if not self.spec.in_half:
            winner[near_wins] = nearest[near_wins]
        return winner


@dataclass(frozen=True)
class CornerTaps:
    """Along one axis of a slab: the two samples that each target lies between, their weights (2, targets), and the nearest one."""

    corners: tuple[NDArray[np.int64], NDArray[np.int64]]
    weights: NDArray[np.float64]
    nearest: NDArray[np.int64]

    @staticmethod
    def of(span: Span, order: int) -> CornerTaps:
        """As scipy.ndimage.zoom places and weighs samples, bit for bit; order 0 takes the nearest alone."""
        index = np.arange(span.target_start, span.target_stop, dtype=np.float64)
        place = np.clip((index + 0.5) * (span.source_size / span.target_size) - 0.5, 0, span.source_size - 1)
        nearest = np.floor(place + 0.5).astype(np.int64) - span.source_start
        if order == 0:
            return CornerTaps((nearest, nearest), np.stack([np.ones_like(place), np.zeros_like(place)]), nearest)
        lower = np.floor(place)
        low = 1.0 - (place - lower)
        first = lower.astype(np.int64)
        second = np.minimum(first + 1, span.source_size - 1) - span.source_start
        return CornerTaps((first - span.source_start, second), np.stack([low, 1.0 - low]), nearest)
