"""Two label maps of one scan, organ by organ, matched by name."""

from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.agreement import organ_agreement

GRID = Grid((7, 11, 9), (2.0, 1.0, 0.5))


def volume(**boxes: tuple[int, slice]) -> Volume:
    array = np.zeros(GRID.shape_zyx, np.uint8)
    for value, rows in boxes.values():
        array[:, rows] = value
    return Volume(array, GRID)


def test_dice_and_volumes_by_name() -> None:
    mine = volume(liver=(1, slice(0, 4)), spleen=(3, slice(6, 8)))
    other = volume(liver=(5, slice(1, 5)), kidney=(6, slice(8, 9)))
    found = organ_agreement(mine, {1: "liver", 3: "spleen", 9: "aorta"}, other, {5: "Liver", 6: "kidney_left", 7: "aorta"})
    row_ml = 7 * 9 * 0.001
    liver, aorta = found
    assert (liver.name, liver.dsc) == ("liver", 0.75)
    assert (liver.ml, liver.other_ml) == (round(4 * row_ml, 3), round(4 * row_ml, 3))
    assert (aorta.name, aorta.dsc, aorta.ml) == ("aorta", None, 0.0)


def test_sources_without_a_common_name_are_refused() -> None:
    with pytest.raises(InputError, match="no organ has the same name in both sources"):
        organ_agreement(volume(), {1: "liver"}, volume(), {1: "rib"})
    with pytest.raises(InputError, match="expected one grid"):
        organ_agreement(volume(), {1: "liver"}, Volume(np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), (1, 1, 1))), {1: "liver"})
