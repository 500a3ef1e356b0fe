"""Resampling of one axis as a banded matrix: which source samples make each target sample, and with what weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.contract import Span

#: Reach in samples of the cubic prefilter: 0.268 ** 16 leaves 7e-10 of a sample.
PREFILTER_REACH = 16


@dataclass(frozen=True)
class Band:
    """Target i = sum over k of weights[k, i] * source[first[i] + k]; an index past either end means the end sample."""

    first: NDArray[np.int32]
    weights: NDArray[np.float32]  # (taps, targets)


def taps_of_order(order: int) -> int:
    """Source samples that make one target sample at a spline order of 0, 1 or 3."""
    return order + 1 if order < 3 else order + 1 + 2 * PREFILTER_REACH


def band_of(span: Span, order: int) -> Band:
    """The band of a spline of order 0, 1 or 3, worked out in float64. An axis that maps each sample to itself is copied."""
    if span.source_size == span.target_size:
        copied = np.arange(span.target_start, span.target_stop, dtype=np.int32) - np.int32(span.source_start)
        return Band(copied, np.ones((1, len(copied)), np.float32))
    position = span.coordinates()
    if order == 0:
        return Band(np.floor(position + 0.5).astype(np.int32), np.ones((1, len(position)), np.float32))
    below = np.floor(position)
    share = position - below
    if order == 1:
        return Band(below.astype(np.int32), np.stack([1 - share, share]).astype(np.float32))
    return Band((below - 1 - PREFILTER_REACH).astype(np.int32), _cardinal_weights(share).astype(np.float32))


def _cardinal_weights(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of an interpolating cubic spline: the four B-spline taps after the prefilter, folded into one band.

    The prefilter is the two-sided exponential sqrt(3) * z ** |k| with z = sqrt(3) - 2 (Unser, Aldroubi and Eden, "B-spline
    signal processing", IEEE Trans. Signal Processing 41, 1993).
    """
    rest = 1 - share
    taps = np.stack([rest**3, 4 - 3 * share**2 * (2 - share), 4 - 3 * rest**2 * (2 - rest), share**3]) / 6
    prefilter = np.sqrt(3) * (np.sqrt(3) - 2) ** np.abs(np.arange(-PREFILTER_REACH, PREFILTER_REACH + 1))
    weights = np.zeros((len(taps) + len(prefilter) - 1, len(share)))
    for k, tap in enumerate(taps):
        weights[k : k + len(prefilter)] += prefilter[:, None] * tap
    return weights
