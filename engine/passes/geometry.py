"""nnU-Net's shape rules: how many samples an axis gets, and when the coarse axis is resampled on its own.

Source: nnunetv2/preprocessing/resampling/default_resampling.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from flare_trt.engine.base.grid import Shape, Vector

#: Spacing ratio above which the coarsest axis is resampled by nearest neighbour (nnunetv2/configuration.py, ANISO_THRESHOLD).
ANISOTROPY = 3.0


def target_shape(shape: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float]) -> Shape:
    """Samples an axis after resampling: old / new * size, rounded half to even, at least 1."""
    z, y, x = (max(1, round(old / new * size)) for old, new, size in zip(spacing_mm, target_mm, shape, strict=True))
    return z, y, x


def separate_axis(current_mm: Vector, new_mm: Vector, forced: bool | None) -> int | None:
    """The axis that is resampled on its own by nearest neighbour, or None. `forced` is the plans' force_separate_z."""
    if forced is False:
        return None
    if forced or _anisotropic(current_mm):
        chosen = current_mm
    elif _anisotropic(new_mm):
        chosen = new_mm
    else:
        return None
    coarsest = [axis for axis in range(3) if max(chosen) / chosen[axis] == 1]
    return coarsest[0] if len(coarsest) == 1 else None


def _anisotropic(spacing_mm: Vector) -> bool:
    return max(spacing_mm) / min(spacing_mm) > ANISOTROPY
