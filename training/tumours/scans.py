"""Random scans: contrast phase, kernel, dose and slice thickness, beside what distillation varies already."""

from __future__ import annotations

import numpy as np

from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats, gaussian, mean_along_z


def vary_scanner(hu: Floats, spacing_mm: Vector, rng: np.random.Generator) -> Floats:
    """A sharper or softer kernel, correlated noise of a low dose, thick slices of up to 8 mm."""
    if rng.random() < 0.3:
        sigma = float(rng.uniform(0.3, 0.8))
        soft = gaussian(hu, (0.5 * sigma, sigma, sigma), truncate=2.5)
        hu = soft if rng.random() < 0.5 else hu + np.float32(rng.uniform(0.3, 1.0)) * (hu - soft)
    if rng.random() < 0.3:
        noise = rng.standard_normal(hu.shape, np.float32)
        noise = gaussian(noise, (rng.uniform(0.3, 0.9) * np.array([0.6, 1, 1])).tolist(), truncate=2.5)
        hu = hu + noise * np.float32(rng.uniform(3, 22) / noise.std())
    if rng.random() < 0.2:
        slices = int(rng.integers(2, max(3, int(8 / spacing_mm[0]) + 1)))
        hu = mean_along_z(hu, slices)
    return hu
