"""Class probabilities of a network over a whole (z, y, x) array, by sliding windows (the engine never holds all classes)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.passes.tiles import gaussian, tile_starts

Triple = tuple[int, int, int]

#: C-contiguous float32 (1, 1, z, y, x) of the patch's shape -> logits (c, z, y, x), valid until the next call.
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def probabilities(network: Network, image: NDArray[np.float32], patch_zyx: Triple, step: float = 0.5) -> NDArray[np.float32]:
    """Softmax of Gaussian-blended logits: float32 (c, z, y, x) for a normalised float32 (z, y, x) image.

    Tiles, weights and the centred padding with 0 are the engine's (nnunetv2/inference), sums are float32 throughout.
    """
    missing = [max(0, patch - size) for patch, size in zip(patch_zyx, image.shape, strict=True)]
    low = [gap // 2 for gap in missing]
    padded = np.pad(image, [(a, gap - a) for a, gap in zip(low, missing, strict=True)])
    weight, total, logits = gaussian(patch_zyx).astype(np.float32), np.zeros(padded.shape, np.float32), np.zeros((0,), np.float32)
    corners = [tile_starts(size, patch, step) for size, patch in zip(padded.shape, patch_zyx, strict=True)]
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
    shares: NDArray[np.float32] = np.exp(logits - logits.max(0, keepdims=True))
    shares /= shares.sum(0, keepdims=True)
    return shares
