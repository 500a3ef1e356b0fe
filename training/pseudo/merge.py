"""How expert labels, a teacher's labels and a tumour teacher's labels become one map. Pure functions on arrays.

Source of the idea: paper, section 3.2 (pseudo-labels complete and rectify the partial labels). The rules are ours:
1. An expert's organ or tumour stands.
2. Elsewhere the teacher fills the classes that the case does not vouch for.
3. Where the teacher claims a class that the case vouches for, but the expert did not draw it, nothing is known: ignored.
4. Tumour comes from an expert or a tumour teacher alone. A tumour teacher's claim inside an expert's organ is ignored: the
   organ's annotators did not look for tumours.
5. Doubtful voxels are ignored, unless an expert drew them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import TUMOUR
from flare_trt.training.prepare.coarse_labels import FINE_IGNORE

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Expert:
    """An expert's labels (z, y, x), 0 where nothing is drawn, and the classes that they vouch for."""

    labels: Labels
    vouched: frozenset[int]

    @staticmethod
    def silent(shape_zyx: tuple[int, ...]) -> Expert:
        """No expert has seen this case."""
        return Expert(np.zeros(shape_zyx, np.uint8), frozenset())


def merge_labels(expert: Expert, teacher: Labels, tumour: Mask | None, doubt: Mask) -> Labels:
    """One uint8 map of organs, tumour and FINE_IGNORE. All arrays are (z, y, x) of one shape.

    `teacher` is read for organs only; `tumour` is the tumour teacher's mask, or None where there is no such teacher.
    """
    organs = np.where(teacher == TUMOUR, 0, teacher)
    contradicted = is_one_of(organs, expert.vouched)
    result = np.where(contradicted, FINE_IGNORE, organs).astype(np.uint8)
    result[doubt] = FINE_IGNORE
    drawn = expert.labels > 0
    if tumour is not None and TUMOUR not in expert.vouched:
        result[tumour & ~doubt] = TUMOUR
        result[drawn] = expert.labels[drawn]
        result[tumour & drawn] = FINE_IGNORE
    else:
        result[drawn] = expert.labels[drawn]
    return result


def vouched_after(expert: Expert, trusted: Collection[int]) -> tuple[int, ...]:
    """What a merged map vouches for: what the expert did, and the classes that the teachers are trusted with."""
    return tuple(sorted(expert.vouched.union(trusted)))


def is_one_of(labels: Labels, classes: Collection[int]) -> Mask:
    """Voxels of any of `classes`."""
    table = np.zeros(256, bool)
    table[list(classes)] = True
    result: Mask = table[labels]
    return result
