"""Lesions' diameters are those of scikit-image's surfaces and outlines, and of shapes whose sizes are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import pdist

from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.run_report import KeptLesion
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.lesions import Lesion, TumourMeasure, longest_and_perpendicular, measure_tumour, with_certainty
from flare_trt.engine.results.measures import measure_organs

TUMOUR = 14
SPACING_MM = (2.5, 0.8, 0.7)
SHAPE = (20, 61, 67)


def measured(mask: np.ndarray, spacing_mm: tuple[float, float, float] = SPACING_MM) -> tuple[Lesion, ...]:
    return tumour_of(Volume(mask.astype(np.uint8) * TUMOUR, Grid(mask.shape, spacing_mm))).lesions


def tumour_of(labels: Volume, value: int = TUMOUR) -> TumourMeasure:
    (organ,) = measure_organs(labels, labels, {value: "tumour"})
    return measure_tumour(labels, labels, organ, (organ,))


def blob(seed: int) -> np.ndarray:
    """One irregular piece that is neither convex nor near the edge."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), (2, 6, 6))
    noise[:2], noise[-2:], noise[:, :3], noise[:, -3:], noise[:, :, :3], noise[:, :, -3:] = (noise.min(),) * 6
    numbers, _ = ndimage.label(noise > np.quantile(noise, 0.9), np.ones((3, 3, 3)))
    return np.asarray(numbers == np.bincount(numbers.ravel())[1:].argmax() + 1)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_lengths_are_those_of_scikit_image_outlines(seed: int) -> None:
    from skimage import measure

    mask = blob(seed)
    (lesion,) = measured(mask)
    surface, *_ = measure.marching_cubes(mask.astype(float), 0.5, spacing=SPACING_MM)
    assert lesion.longest_3d_mm == pytest.approx(pdist(surface).max(), abs=0.006)
    outlines = {
        z: np.concatenate(measure.find_contours(plane.astype(float), 0.5)) * SPACING_MM[1:]
        for z, plane in enumerate(mask)
        if plane.any()
    }
    longest = {z: pdist(outline).max() for z, outline in outlines.items()}
    assert lesion.longest_axial_mm == pytest.approx(max(longest.values()), abs=0.006)
    assert longest[lesion.slice_index] == pytest.approx(lesion.longest_axial_mm, abs=0.006)
    assert 0 < lesion.perpendicular_mm <= lesion.longest_axial_mm <= lesion.longest_3d_mm


def test_a_box_and_a_single_voxel() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[3:7, 10:50, 30:32] = True
    (lesion,) = measured(mask)
    assert (lesion.start_zyx, lesion.stop_zyx) == ((3, 10, 30), (7, 50, 32))
    assert lesion.volume_ml == pytest.approx(4 * 40 * 2 * np.prod(SPACING_MM) / 1000, abs=5e-4)
    assert lesion.longest_axial_mm == pytest.approx(np.hypot(40 * 0.8, 0.7), abs=0.01)
    assert lesion.perpendicular_mm == pytest.approx(1.4, abs=0.1)
    one = np.zeros((3, 3, 3), bool)
    one[1, 1, 1] = True
    (voxel,) = measured(one, (5.0, 4.0, 3.0))
    assert (voxel.longest_axial_mm, voxel.perpendicular_mm, voxel.longest_3d_mm) == (4.0, 3.0, 5.0)


def test_an_ellipsoid_has_the_diameters_that_it_was_drawn_with() -> None:
    z, y, x = (np.arange(n) - n // 2 for n in SHAPE)
    turned_y = 0.8 * y[:, None] * np.cos(0.5) - 0.7 * x * np.sin(0.5)
    turned_x = 0.8 * y[:, None] * np.sin(0.5) + 0.7 * x * np.cos(0.5)
    mask = ((2.5 * z[:, None, None]) / 20) ** 2 + (turned_y / 15) ** 2 + (turned_x / 9) ** 2 <= 1
    (lesion,) = measured(mask)
    assert lesion.slice_index == SHAPE[0] // 2
    assert (lesion.longest_axial_mm, lesion.perpendicular_mm) == pytest.approx((30, 18), abs=0.8)
    assert lesion.longest_3d_mm == pytest.approx(40, abs=2.5)  # a voxel more at most
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 20 * 15 * 9 / 1000, rel=0.02)


def test_the_perpendicular_is_a_chord_and_not_a_width() -> None:
    kite = np.array([(0.0, 0.0), (10.0, 0.0), (3.0, 2.0), (7.0, -2.0)])  # 4 wide, but no chord across is longer than 20 / 7
    longest, perpendicular = longest_and_perpendicular(kite)
    assert longest == 10
    assert perpendicular == pytest.approx(2 + 2 * 3 / 7)


def test_pieces_are_sorted_and_specks_counted() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 2:8, 2:8] = True
    mask[9:15, 20:40, 20:40] = True
    mask[15, 40, 40] = True  # touches by a corner: the same piece
    mask[0, 60, 66] = True
    labels = Volume(mask.astype(np.uint8) * TUMOUR, Grid(mask.shape, SPACING_MM))
    found = tumour_of(labels)
    assert [lesion.start_zyx for lesion in found.lesions] == [(9, 20, 20), (2, 2, 2)]
    assert found.lesions[0].stop_zyx == (16, 41, 41)
    assert (found.specks, found.value, found.name) == (1, TUMOUR, "tumour")
    assert tumour_of(labels, 3).lesions == ()


def test_any_orientation_gives_the_same_lengths() -> None:
    mask, grid = blob(5), Grid(SHAPE, SPACING_MM)
    (wanted,) = measured(mask)
    for order in itertools.permutations("SPL"):
        turn = Reorientation.to(grid, "".join(order).replace("P", "A"))
        labels = Volume(np.ascontiguousarray(turn.apply(mask)).astype(np.uint8), turn.grid(grid))
        (lesion,) = tumour_of(labels, 1).lesions
        assert lesion.longest_axial_mm == wanted.longest_axial_mm
        assert lesion.perpendicular_mm == wanted.perpendicular_mm
        assert lesion.longest_3d_mm == wanted.longest_3d_mm
        assert lesion.slice_index == wanted.slice_index


def test_a_lesion_that_the_scan_cuts_is_told() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[17:, 5:15, 5:15] = True
    (lesion,) = measured(mask)
    assert lesion.touches_edge == ("S",)


def test_a_lesion_s_organ_is_the_one_around_it_and_its_hu_are_told_beside_the_organ_s() -> None:
    labels, hu = np.zeros(SHAPE, np.uint8), np.full(SHAPE, -100, np.int16)
    labels[2:18, 5:50, 5:40] = 1  # liver of 110 HU
    labels[2:18, 5:50, 40:60] = 3  # spleen of 90 HU
    hu[labels == 1], hu[labels == 3] = 110, 90
    inside, beside, alone = np.s_[6:10, 12:20, 12:22], np.s_[12:15, 20:29, 38:49], np.s_[2:5, 56:60, 5:10]
    for place, value in ((inside, 60), (beside, 140), (alone, 30)):
        labels[place], hu[place] = TUMOUR, value
    volumes = [Volume(array, Grid(SHAPE, SPACING_MM)) for array in (hu, labels)]
    organs = measure_organs(*volumes, {1: "liver", 3: "spleen", TUMOUR: "tumour"})
    found = {lesion.mean_hu: lesion for lesion in measure_tumour(*volumes, organs[-1], organs).lesions}
    assert (found[60.0].organ, found[60.0].over_organ_hu, found[60.0].std_hu) == ("liver", -50.0, 0.0)
    assert (found[140.0].organ, found[140.0].over_organ_hu) == ("spleen", 50.0)
    assert (found[30.0].organ, found[30.0].over_organ_hu) == ("", None)


def test_a_lesion_has_the_certainty_that_the_run_gave_its_box() -> None:
    mask = np.zeros((12, 15, 17), bool)
    mask[2:5, 3:7, 4:9] = mask[7:10, 8:11, 10:13] = True
    tumour = tumour_of(Volume(mask.astype(np.uint8) * TUMOUR, Grid(mask.shape, SPACING_MM)))
    found = with_certainty(tumour, (KeptLesion((7, 8, 10), (10, 11, 13), 0.25),))
    assert [lesion.certainty for lesion in found.lesions] == [None, 0.25]
