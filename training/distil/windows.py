"""Class probabilities of a network over a whole (z, y, x) array, by sliding windows. Training keeps all classes; the engine never does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]

#: float32 (1, 1, z, y, x) of the patch's shape -> logits (c, z, y, x).
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def probabilities(network: Network, image: NDArray[np.float32], patch_zyx: Triple, step: float = 0.5) -> NDArray[np.float32]:
    """Softmax of Gaussian-blended logits: float32 (c, z, y, x) for a normalised float32 (z, y, x) image.

    Tiles, weights and padding follow nnunetv2/inference (steps of `step` patches, sigma of an eighth of the patch, centred
    padding with 0), in float32 throughout.
    """
    missing = [max(0, patch - size) for patch, size in zip(patch_zyx, image.shape, strict=True)]
    low = [gap // 2 for gap in missing]
    padded = np.pad(image, [(a, gap - a) for a, gap in zip(low, missing, strict=True)])
    weight, total, logits = gaussian_weight(patch_zyx), np.zeros(padded.shape, np.float32), np.zeros((0,), np.float32)
    corners = [_starts(size, patch, step) for size, patch in zip(padded.shape, patch_zyx, strict=True)]
    for corner in product(*corners):
        place = tuple(slice(start, start + size) for start, size in zip(corner, patch_zyx, strict=True))
        tile = network(np.ascontiguousarray(padded[place])[None, None])
        if not logits.size:
            logits = np.zeros((tile.shape[0], *padded.shape), np.float32)
        logits[(slice(None), *place)] += tile * weight
        total[place] += weight
    logits /= total
    inside = tuple(slice(a, a + size) for a, size in zip(low, image.shape, strict=True))
    return softmax(logits[(slice(None), *inside)])


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over axis 0."""
    shares = np.exp(logits - logits.max(0, keepdims=True))
    shares /= shares.sum(0, keepdims=True)
    return shares


def gaussian_weight(patch_zyx: Triple) -> NDArray[np.float32]:
    """Separable Gaussian of a tile, 1 at its centre, never 0."""
    weight = np.ones(patch_zyx, np.float32)
    for axis, size in enumerate(patch_zyx):
        distance = (np.arange(size) - size // 2) / (size / 8)
        shape = [1, 1, 1]
        shape[axis] = size
        weight *= np.exp(-0.5 * distance**2).astype(np.float32).reshape(shape)
    return np.maximum(weight, 1e-6)


def _starts(size: int, patch: int, step: float) -> list[int]:
    if size <= patch:
        return [0]
    count = ceil((size - patch) / (patch * step)) + 1
    return [round((size - patch) / (count - 1) * index) for index in range(count)]
