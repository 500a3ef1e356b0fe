"""Random intensities of a CT patch: contrast phase, window, noise, blur. The labels stay."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def vary_intensity(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """float32 HU (z, y, x) as another scanner, dose or contrast phase might have shown it."""
    if rng.random() < 0.6:
        hu = _contrast_phase(hu, rng)
    if rng.random() < 0.5:
        hu = hu * float(rng.uniform(0.93, 1.07)) + float(rng.uniform(-25, 25))
    if rng.random() < 0.25:
        hu = _blur(hu)
    if rng.random() < 0.5:
        hu = _low_dose(hu, rng)
    return hu


def _contrast_phase(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Stretch or shrink what lies above unenhanced tissue (50 HU), as more or less contrast medium would."""
    return torch.where(hu > 50, 50 + (hu - 50) * float(rng.uniform(0.35, 1.6)), hu)


def _blur(hu: Tensor) -> Tensor:
    """A soft reconstruction kernel: a mean over 3 voxels in plane."""
    return functional.avg_pool2d(hu[None], 3, 1, 1, count_include_pad=False)[0]


def _low_dose(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Photon noise: white and streaks along x (as between the shoulders), of up to 45 HU."""
    seed = int(rng.integers(2**31))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(hu.shape, generator=generator) * float(rng.uniform(5, 40))
    if rng.random() < 0.4:
        streaks = torch.randn((hu.shape[0], hu.shape[1], 1), generator=generator) * float(rng.uniform(3, 20))
        noise = noise + streaks
    return hu + noise
