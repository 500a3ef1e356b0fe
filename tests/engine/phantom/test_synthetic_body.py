from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.organs import TUMOUR
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom

ABDOMEN_SHAPE, ABDOMEN_MM = (95, 87, 101), (4.0, 4.1, 4.2)


@pytest.fixture(scope="module")
def abdomen():
    return make_phantom(7, ABDOMEN_SHAPE, ABDOMEN_MM, PhantomOptions(centre_mm=20.0))


def test_the_same_seed_gives_the_same_voxels_and_another_one_does_not() -> None:
    first, second, other = (make_phantom(seed, (20, 30, 26), (12.0, 14.0, 16.0)) for seed in (3, 3, 4))
    assert np.array_equal(first[0].array, second[0].array)
    assert np.array_equal(first[1].array, second[1].array)
    assert not np.array_equal(first[0].array, other[0].array)


@pytest.mark.parametrize("seed", range(5))
def test_an_abdomen_shows_all_organs_at_plausible_volumes(seed: int) -> None:
    _, labels = make_phantom(seed, ABDOMEN_SHAPE, ABDOMEN_MM, PhantomOptions(centre_mm=20.0))
    ml = np.bincount(labels.array.ravel(), minlength=15) * labels.grid.voxel_ml
    assert (ml[1:14] > 1).all(), ml
    assert 500 < ml[1] < 2500
    assert (ml[[2, 13]] > 60).all()
    assert (ml[[2, 13]] < 350).all()
    assert ml[3] > 40
    assert ml[TUMOUR] == 0


def test_axes_run_to_superior_posterior_and_left(abdomen) -> None:
    ct, labels = abdomen
    centre = {label: np.argwhere(labels.array == label).mean(0) for label in (1, 2, 3, 5, 11, 13)}
    assert centre[2][2] < centre[13][2], "the right kidney has the smaller x"
    assert centre[1][2] < centre[3][2], "the liver is right of the spleen"
    assert centre[11][1] < centre[5][1], "the stomach is in front of the aorta"
    head, _ = make_phantom(7, ABDOMEN_SHAPE, ABDOMEN_MM, PhantomOptions(centre_mm=420.0))
    assert (head.array[-20:] > 700).sum() > 5 * (ct.array[-20:] > 700).sum(), "the skull is at the top"
    assert ct.grid.orientation == "SPL"
    assert ct.grid == labels.grid


def test_values_are_hu(abdomen) -> None:
    ct, labels = abdomen
    assert ct.array.dtype == np.int16
    assert labels.array.dtype == np.uint8
    assert np.median(ct.array[0, :3, :3]) < -950
    assert 30 < np.median(ct.array[labels.array == 1]) < 140
    assert -30 < np.median(ct.array[labels.array == 9]) < 45
    assert (ct.array > 250).mean() > 0.002, "there are bones"


def test_a_head_and_legs_hold_no_organ() -> None:
    for centre in (500.0, -800.0):
        ct, labels = make_phantom(11, (41, 62, 55), (5.0, 4.0, 4.0), PhantomOptions(centre_mm=centre))
        assert not labels.array.any()
        assert (ct.array > -200).mean() > 0.05, "but a body"


def test_a_whole_body_reaches_from_crown_to_soles() -> None:
    ct, labels = make_phantom(5, (190, 64, 72), (10.0, 8.0, 8.0))
    body_rows = np.nonzero((ct.array > 0).sum(axis=(1, 2)) > 12)[0]
    assert body_rows[0] > 0
    assert body_rows[-1] < 189
    assert (body_rows[-1] - body_rows[0]) * 10 > 1400
    shown = set(np.unique(labels.array)) - {0}
    assert {1, 2, 3, 5, 6, 11, 13} <= shown


def test_lesions_are_inside_organs_and_optional() -> None:
    with_lesions = [make_phantom(seed, ABDOMEN_SHAPE, ABDOMEN_MM, PhantomOptions(20.0, lesions=True))[1].array for seed in range(3)]
    plain = [make_phantom(seed, ABDOMEN_SHAPE, ABDOMEN_MM, PhantomOptions(20.0))[1].array for seed in range(3)]
    assert any((array == TUMOUR).any() for array in with_lesions)
    for lesion, healthy in zip(with_lesions, plain, strict=True):
        assert set(np.unique(healthy[lesion == TUMOUR])) <= {1, 2, 4, 13}
        assert np.array_equal(lesion[lesion != TUMOUR], healthy[lesion != TUMOUR])


def test_a_flat_scan_works() -> None:
    ct, labels = make_phantom(1, (1, 40, 50), (5.0, 9.0, 8.0), PhantomOptions(centre_mm=40.0))
    assert ct.array.shape == labels.array.shape == (1, 40, 50)
    assert labels.array.any()


def test_an_impossible_grid_is_refused() -> None:
    with pytest.raises(InputError, match="spacing"):
        make_phantom(1, (4, 4, 4), (0.0, 1.0, 1.0))
