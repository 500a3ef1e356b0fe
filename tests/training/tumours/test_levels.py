from __future__ import annotations

import numpy as np
import pytest

from flare_trt.training.tumours.levels import blend, box_around, ellipsoid, offsets_mm, random_field, random_rotation, tube

SPACING_MM = (2.5, 1.5, 1.25)
SHAPE = (41, 61, 71)


def centred_offsets() -> tuple[np.ndarray, np.ndarray]:
    centre = np.array([20, 30, 35])
    return offsets_mm(box_around(centre, 200.0, SHAPE, SPACING_MM), centre, SPACING_MM), centre


@pytest.mark.parametrize("axes", [(15.0, 15.0, 15.0), (10.0, 20.0, 25.0)])
def test_an_ellipsoid_has_the_volume_of_its_axes(axes: tuple[float, float, float]) -> None:
    offsets, _ = centred_offsets()
    level = ellipsoid(offsets, np.array(axes), 0.0, SPACING_MM, np.random.default_rng(1))
    volume = np.count_nonzero(level > 0) * np.prod(SPACING_MM)
    assert volume == pytest.approx(4 / 3 * np.pi * np.prod(axes), rel=0.03)


def test_a_ball_s_level_is_the_distance_to_its_surface() -> None:
    offsets, _ = centred_offsets()
    level = ellipsoid(offsets, np.full(3, 18.0), 0.0, SPACING_MM, np.random.default_rng(2))
    np.testing.assert_allclose(level, 18.0 - np.linalg.norm(offsets, axis=-1), atol=1e-3)


def test_a_tube_is_as_thick_as_asked_around_each_piece_of_its_course() -> None:
    offsets, _ = centred_offsets()
    points = np.array([(0.0, -20.0, 0.0), (0.0, 20.0, 0.0), (20.0, 20.0, 0.0)])
    level = tube(offsets, points, 6.0)
    assert level[20, 30, 35] == pytest.approx(6.0)
    assert level[20, 30, 35 + 4] == pytest.approx(6.0 - 4 * 1.25, abs=1e-4)
    corner = np.abs(offsets - np.float32((0, 20, 0))).max(-1) < 0.3
    assert np.all(level[np.argwhere(offsets[..., 1] > 40)[0][0] :, -1, 0] < 0)
    assert not corner.any() or level[corner].max() > 5


def test_a_rotation_keeps_lengths_and_sides() -> None:
    matrix = random_rotation(np.random.default_rng(3))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_a_field_has_unit_deviation_and_is_as_smooth_as_asked() -> None:
    rng = np.random.default_rng(4)
    rough, smooth = (random_field((20, 30, 40), np.full(3, sigma), rng) for sigma in (0.5, 3.0))
    for field in (rough, smooth):
        assert field.std() == pytest.approx(1.0, abs=1e-3)
    assert np.abs(np.diff(smooth, axis=2)).mean() < 0.5 * np.abs(np.diff(rough, axis=2)).mean()


def test_blend_is_half_at_the_surface_and_whole_beyond_its_width() -> None:
    share = blend(np.array([-6.0, 0.0, 6.0], np.float32), 4.0)
    np.testing.assert_allclose(share, [0, 0.5, 1], atol=3e-3)


def test_a_box_is_cut_to_the_array() -> None:
    assert box_around(np.array([1, 30, 70]), 10.0, SHAPE, SPACING_MM) == (slice(0, 7), slice(22, 39), slice(61, 71))
