from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flare_trt.benchmarks.score.protocol import Score, score_flare23, score_plain
from flare_trt.benchmarks.score.targets import LABEL_SETS, Target

SPACING = (2.5, 0.75, 0.8)
BY_NAME = {structure.name: structure for structure in LABEL_SETS["flare23"].targets}
LIVER, AORTA = BY_NAME["liver"], BY_NAME["aorta"]


def box(z: slice, y: slice, x: slice) -> NDArray[np.bool_]:
    mask = np.zeros((9, 15, 16), bool)
    mask[z, y, x] = True
    return mask


NOTHING = box(slice(0), slice(0), slice(0))
SOMETHING = box(slice(2, 7), slice(3, 11), slice(4, 13))


def test_the_official_table_of_tolerances() -> None:
    tolerances = [structure.tolerance_mm for structure in LABEL_SETS["flare23"].targets]
    assert tolerances == [5, 3, 3, 5, 2, 2, 2, 2, 2, 3, 5, 7, 3, 2]
    assert [structure.values[0] for structure in LABEL_SETS["flare23"].targets] == list(range(1, 15))
    assert [s.values[0] for s in LABEL_SETS["flare23"].targets if s.tubular] == [5, 6, 10]
    assert [s.values[0] for s in LABEL_SETS["flare23"].targets if s.lesion] == [14]
    assert LABEL_SETS["flare22"].targets == LABEL_SETS["flare23"].targets[:13]


@pytest.mark.parametrize("structure", [LIVER, AORTA])
def test_absent_structures(structure: Target) -> None:
    assert score_flare23(NOTHING, NOTHING, structure, SPACING) == Score(1.0, 1.0)
    assert score_flare23(NOTHING, SOMETHING, structure, SPACING) == Score(0.0, 0.0)
    assert score_flare23(SOMETHING, NOTHING, structure, SPACING) == Score(0.0, 0.0)
    assert math.isnan(score_plain(NOTHING, NOTHING, structure, SPACING).dsc)
    assert math.isnan(score_plain(NOTHING, NOTHING, structure, SPACING).nsd)
    assert score_plain(NOTHING, SOMETHING, structure, SPACING) == Score(0.0, 0.0)


def test_a_tube_counts_on_the_labelled_slices_without_the_last() -> None:
    reference = box(slice(2, 7), slice(3, 11), slice(4, 13))
    prediction = box(slice(0, 9), slice(3, 11), slice(4, 13))  # too long at both ends
    prediction[6, :, :10] = False  # and wrong in the last labelled slice, which nobody looks at
    assert score_flare23(reference, prediction, AORTA, SPACING) == Score(1.0, 1.0)
    assert score_flare23(reference, prediction, LIVER, SPACING).dsc < 1
    assert score_plain(reference, prediction, AORTA, SPACING).dsc < 1


def test_a_tube_labelled_on_one_slice_has_no_score() -> None:
    one_slice = box(slice(3, 4), slice(3, 11), slice(4, 13))
    score = score_flare23(one_slice, one_slice, AORTA, SPACING)
    assert math.isnan(score.dsc)
    assert math.isnan(score.nsd)
    assert score_flare23(one_slice, one_slice, LIVER, SPACING) == Score(1.0, 1.0)


def test_a_dice_under_a_fifth_has_no_surface_score() -> None:
    reference = box(slice(0, 9), slice(3, 4), slice(0, 16))
    prediction = np.roll(reference, 1, axis=1)  # no overlap, but 0.75 mm away
    assert score_plain(reference, prediction, LIVER, SPACING) == Score(0.0, 1.0)
    assert score_flare23(reference, prediction, LIVER, SPACING) == Score(0.0, 0.0)


def test_the_official_score_is_rounded_and_the_plain_one_is_not() -> None:
    prediction = box(slice(2, 7), slice(4, 12), slice(4, 12))
    plain, official = score_plain(SOMETHING, prediction, LIVER, SPACING), score_flare23(SOMETHING, prediction, LIVER, SPACING)
    assert official.dsc == round(plain.dsc, 4) != plain.dsc
