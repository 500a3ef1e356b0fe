"""Deterministic inputs that an exported network is tried on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape
from flare_trt.kernels import Intensity

_SEED = 20230805


def noise_patch(patch_zyx: Shape) -> NDArray[np.float32]:
    """Unit normal noise, (1, 1, z, y, x): every voxel its own, which no CT is."""
    return np.random.default_rng(_SEED).standard_normal((1, 1, *patch_zyx), np.float32)


def ct_patch(patch_zyx: Shape, intensity: Intensity) -> NDArray[np.float32]:
    """A body of smooth organs in air as the network sees it: clipped and normalised, (1, 1, z, y, x) float32."""
    from scipy import ndimage

    rng = np.random.default_rng(_SEED)
    organs = ndimage.gaussian_filter(rng.standard_normal(patch_zyx), [max(1.0, size / 16) for size in patch_zyx])
    texture = ndimage.gaussian_filter(rng.standard_normal(patch_zyx), 0.7)
    hu = intensity.mean_hu + intensity.std_hu * (organs / organs.std() + 0.2 * texture / texture.std())
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in patch_zyx[1:]), indexing="ij")
    hu[:, (y / 0.8) ** 2 + (x / 0.9) ** 2 > 1] = -1000
    clipped = np.clip(hu, intensity.low_hu, intensity.high_hu)
    normalised = (clipped - intensity.mean_hu) / max(intensity.std_hu, 1e-8)
    return np.ascontiguousarray(normalised[None, None], np.float32)
