"""Scans as the networks of this recipe see them: array axes to superior, posterior and left, resampled as the engine does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape
from flare_trt.engine.base.volume import Volume, turned
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.kernels import Intensity, Span, load
from flare_trt.training.distil.warp import Vector

ORIENTATION = "SPL"


def read_upright_ct(path: Path) -> Volume:
    """A CT in SPL orientation."""
    return turned(read_ct(path), ORIENTATION)


def read_upright_labels(path: Path) -> Volume:
    """A label map in SPL orientation."""
    return turned(read_labels(path), ORIENTATION)


def network_image(ct: Volume, spacing_mm: Vector, intensity: Intensity) -> NDArray[np.float32]:
    """Clip, normalise and resample (cubic) a CT to a network's spacing, in the order of nnU-Net's preprocessor."""
    kernels = load("reference")
    image = kernels.normalise(ct.array, intensity)
    sizes = zip(ct.grid.shape_zyx, ct.grid.spacing_mm, spacing_mm, strict=True)
    z, y, x = (Span.whole(size, round(mm / wanted * size)) for size, mm, wanted in sizes)
    result: NDArray[np.float32] = kernels.resample_spline(image, (z, y, x), (3, 3, 3), kernels.value_range(image))
    return result


def labels_on(shares: NDArray[np.float32], shape_zyx: Shape) -> NDArray[np.uint8]:
    """Arg-max of (c, z, y, x) shares, resampled (linear) to a shape: uint8 (z, y, x)."""
    best, labels = np.full(shape_zyx, -1.0, np.float32), np.zeros(shape_zyx, np.uint8)
    for label, share in enumerate(shares):
        here = resampled(share, shape_zyx)
        better = here > best
        best[better], labels[better] = here[better], label
    return labels


def resampled(share: NDArray[np.float32], shape_zyx: Shape) -> NDArray[np.float32]:
    """One (z, y, x) map of shares, linearly resampled to a shape of the same extent."""
    z, y, x = (Span.whole(size, wanted) for size, wanted in zip(share.shape, shape_zyx, strict=True))
    result: NDArray[np.float32] = load("reference").resample_spline(np.ascontiguousarray(share), (z, y, x), (1, 1, 1), (0.0, 1.0))
    return result
