from __future__ import annotations

import numpy as np
import pytest

from flare_trt.training.pseudo.merge import Expert
from flare_trt.training.pseudo.trust import Overlap, class_dice, overlaps

EXPERT = Expert(np.array([[[1, 1, 0, 3, 0]]], np.uint8), frozenset({1, 2}))
CLAIMS = np.array([[[1, 0, 2, 3, 1]]], np.uint8)


def test_only_what_the_expert_vouches_for_is_compared() -> None:
    assert overlaps(EXPERT, CLAIMS, frozenset({1, 2, 3})) == {1: Overlap(1, 4), 2: Overlap(0, 1)}
    assert overlaps(EXPERT, CLAIMS, frozenset({3})) == {}


def test_voxels_of_all_cases_count_together() -> None:
    large, small = {1: Overlap(90, 200)}, {1: Overlap(0, 4), 2: Overlap(0, 0), 7: Overlap(0, 5)}
    assert class_dice([large, small]) == {1: pytest.approx(180 / 204), 7: 0.0}
