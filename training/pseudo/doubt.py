"""Where a teacher is not to be believed: a small margin, a high entropy, or views of one scan that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DoubtLimits:
    """A voxel is doubtful below this margin between its two likeliest classes, or above this entropy (1 = even odds)."""

    margin: float = 0.2
    entropy: float = 0.5


def margin(shares: Shares) -> Shares:
    """Likeliest minus second likeliest share of (c, z, y, x) probabilities: (z, y, x), 0 to 1."""
    top = np.partition(shares, -2, axis=0)[-2:]
    result: Shares = top[1] - top[0]
    return result


def entropy(shares: Shares) -> Shares:
    """Entropy of (c, z, y, x) probabilities as a share of its largest value, log c: (z, y, x), 0 to 1."""
    safe = np.clip(shares, 1e-12, 1)
    result: Shares = (-(safe * np.log(safe)).sum(0) / np.log(shares.shape[0])).astype(np.float32)
    return result


def doubtful(shares: Shares, limits: DoubtLimits) -> Mask:
    """Voxels of small margin or high entropy."""
    result: Mask = (margin(shares) < limits.margin) | (entropy(shares) > limits.entropy)
    return result


def disagreement(maps: Sequence[NDArray[np.uint8]]) -> Mask:
    """Voxels on which label maps of one scan (from flips, shifts or other teachers) are not all equal."""
    result = np.zeros(maps[0].shape, bool)
    for other in maps[1:]:
        result |= other != maps[0]
    return result
