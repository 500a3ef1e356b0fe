"""Inputs that the kernel tests share, and calls that carry arrays to a device and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flare_trt.kernels import Kernels, Span
from flare_trt.kernels.contract import Taps


def normal(*shape: int, seed: int = 0) -> Any:
    """Standard normal float32 values."""
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def resample(kernels: Kernels, image: Any, target: Sequence[int], orders: Sequence[int], clamp: Any = None) -> Any:
    """resample_spline of a whole host volume; clamped to the image's own range where no other is given."""
    z, y, x = (Span.whole(n, t) for n, t in zip(image.shape, target, strict=True))
    limits = clamp or (float(image.min()), float(image.max()))
    return kernels.download(kernels.resample_spline(kernels.upload(image), (z, y, x), tuple(orders), limits))  # type: ignore[arg-type]


def linear_taps(source: int, target: int) -> Taps:
    """Half-voxel centres, with the edges held."""
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    lower = np.floor(position).astype(np.int32)
    return Taps(lower, np.minimum(lower + 1, source - 1).astype(np.int32), (position - lower).astype(np.float32))


def nearest_taps(source: int, target: int) -> Taps:
    index = np.floor((np.arange(target) + 0.5) * source / target).astype(np.int32)
    return Taps(index, index, np.zeros(target, np.float32))


def random_taps(source: int, target: int, seed: int) -> Taps:
    """Samples in no order at all, with weights that include 0 and 1."""
    rng = np.random.default_rng(seed)
    lower, upper = (rng.integers(0, source, target).astype(np.int32) for _ in range(2))
    return Taps(lower, upper, np.clip(rng.uniform(-0.2, 1.2, target), 0, 1).astype(np.float32))


def restore(kernels: Kernels, method: str, ring: Any, taps_zyx: Any, values: Any, in_half: bool = True) -> Any:
    """restore_argmax or restore_regions of a host ring, over labels that start as 77."""
    labels = kernels.upload(np.full([len(taps.lower) for taps in taps_zyx], 77, values.dtype))
    getattr(kernels, method)(kernels.upload(ring), taps_zyx, values, labels, in_half)
    return kernels.download(labels)
