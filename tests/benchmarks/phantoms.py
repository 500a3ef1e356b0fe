"""Small label maps and masks with edges, thin parts and holes, made from whole numbers so that every machine makes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def blob(seed: int, shape_zyx: tuple[int, int, int]) -> NDArray[np.bool_]:
    """A union of some ellipsoids and boxes, some of them cut out again, and a few lone voxels."""
    random = np.random.default_rng(seed)
    index = np.indices(shape_zyx)
    mask = np.zeros(shape_zyx, bool)
    for part in range(6):
        centre = [int(random.integers(0, n)) for n in shape_zyx]
        radius = [int(random.integers(1, max(2, n // 3))) for n in shape_zyx]
        steps = [np.abs(index[axis] - centre[axis]) for axis in range(3)]
        if part % 2:
            inside = np.all([step <= r for step, r in zip(steps, radius, strict=True)], axis=0)
        else:  # (a/A)^2 + (b/B)^2 + (c/C)^2 <= 1 in whole numbers
            squares = [(radius[i] * radius[j]) ** 2 for i, j in ((1, 2), (0, 2), (0, 1))]
            total = sum(step**2 * square for step, square in zip(steps, squares, strict=True))
            inside = total <= (radius[0] * radius[1] * radius[2]) ** 2
        mask[inside] = part != 4
    mask.flat[random.integers(0, mask.size, 5)] = True
    return mask


def label_map(seed: int, shape_zyx: tuple[int, int, int], labels: tuple[int, ...]) -> NDArray[np.uint8]:
    """A label map in which later labels overwrite earlier ones."""
    result = np.zeros(shape_zyx, np.uint8)
    for label in labels:
        result[blob(100 * seed + label, shape_zyx)] = label
    return result


def save_labels(path: Path, labels_zyx: NDArray[np.uint8], spacing_zyx_mm: tuple[float, float, float]) -> Path:
    """Write a label map as a NIfTI file whose array axes run to left, posterior and superior."""
    import nibabel

    z, y, x = spacing_zyx_mm
    nibabel.save(nibabel.Nifti1Image(labels_zyx.T, np.diag((-x, -y, z, 1.0))), path)
    return path
