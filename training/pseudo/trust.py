"""Which of a teacher's classes are believed: those that it finds where experts drew them.

A teacher names every class of its head, also one that it never learned to find. Taken at its word, its labels would say that
no patient has that organ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.pseudo.merge import Expert


@dataclass(frozen=True)
class Overlap:
    """Voxels of one class: drawn by both, and by expert and teacher together (each counted)."""

    common: int
    total: int


def overlaps(expert: Expert, claims: NDArray[np.uint8], classes: frozenset[int]) -> dict[int, Overlap]:
    """Overlap of each of `classes` that the expert vouches for."""
    result = {}
    for label in sorted(classes & expert.vouched):
        drawn, claimed = expert.labels == label, claims == label
        result[label] = Overlap(int((drawn & claimed).sum()), int(drawn.sum()) + int(claimed.sum()))
    return result


def class_dice(cases: Iterable[Mapping[int, Overlap]]) -> dict[int, float]:
    """Dice of each class over the voxels of all cases together; a class that no expert vouches for is left out."""
    common, total = dict[int, int](), dict[int, int]()
    for case in cases:
        for label, overlap in case.items():
            common[label] = common.get(label, 0) + overlap.common
            total[label] = total.get(label, 0) + overlap.total
    return {label: 2 * common[label] / total[label] for label in sorted(total) if total[label]}
