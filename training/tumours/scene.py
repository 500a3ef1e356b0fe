"""A patch in work: HU, organs and planted tumours, and how far each voxel's label is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats, gaussian
from flare_trt.training.tumours.recipe import TUMOUR

#: Trust in a voxel's label: ignored, right unless it is an undrawn tumour, right.
IGNORED, PARTIAL, FULL = 0, 1, 2


@dataclass
class Scene:
    """All (z, y, x) and changed in place: float32 `hu`, the uint8 `organs` (0 to 13) and the uint8 `trust` in what is labelled.

    `tumour` is the share of planted tumour in each voxel, float32; `lesions` numbers the voxels that are most of it tumour, 1 for
    what was planted first; where two overlap, the later one has them. `smooth` is the HU without the scan's noise.
    """

    hu: Floats
    organs: NDArray[np.uint8]
    trust: NDArray[np.uint8]
    spacing_mm: Vector

    def __post_init__(self) -> None:
        self.tumour: Floats = np.zeros(self.hu.shape, np.float32)
        self.lesions: NDArray[np.uint8] = np.zeros(self.hu.shape, np.uint8)
        self.smooth: Floats = smoothed(self.hu, 1.8, self.spacing_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x)."""
        z, y, x = self.hu.shape
        return z, y, x

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The organs, and tumour where most of a voxel is."""
        return self.labels_in((slice(None),) * 3)

    def labels_in(self, place: tuple[slice, slice, slice]) -> NDArray[np.uint8]:
        """The labels of a box."""
        return np.where(self.tumour[place] > 0.5, np.uint8(TUMOUR), self.organs[place])

    def of(self, labels: tuple[int, ...]) -> NDArray[np.bool_]:
        """Where the label is one of some."""
        return np.isin(self.labels, labels)


def lesion_boxes(lesions: NDArray[np.uint8], margin: int) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """The number of each planted lesion that shows, and its box of voxels with a margin of so many."""
    found = []
    for number in np.flatnonzero(np.bincount(lesions.ravel())[1:]) + 1:
        where = lesions == number
        ends = (np.flatnonzero(where.any(axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1)))
        z, y, x = (slice(max(0, int(first) - margin), int(last) + 1 + margin) for first, last in ends)
        found.append((int(number), (z, y, x)))
    return found


def smoothed(hu: Floats, sigma_mm: float, spacing_mm: Vector) -> Floats:
    """HU without the scan's noise."""
    return gaussian(hu, [sigma_mm / mm for mm in spacing_mm], truncate=2.5)
