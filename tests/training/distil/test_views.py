from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.training.distil.views import Teacher, make_view, open_view, open_views, write_view
from flare_trt.training.distil.warp import WarpRange
from tests.training.distil.distil_fixtures import INTENSITY

STILL = WarpRange((0.0, 0.0, 0.0), 0.0, 0.0)


def bright_is_liver(tile: np.ndarray) -> np.ndarray:
    """A teacher that calls what is brighter than 100 HU liver."""
    logits = np.zeros((14, *tile.shape[2:]), np.float32)
    logits[1] = np.where(tile[0, 0] * INTENSITY.std_hu + INTENSITY.mean_hu > 100, 20, -20)
    return logits


TEACHER = Teacher(bright_is_liver, (8.0, 7.0, 6.0), (16, 16, 16), INTENSITY)


def test_a_still_view_is_the_scan_at_the_teacher_s_spacing() -> None:
    ct, _ = make_phantom(3, (20, 35, 41), (8.0, 7.0, 6.0), PhantomOptions(centre_mm=20.0))
    view = make_view(ct, TEACHER, np.random.default_rng(0), STILL)
    assert view.image_hu.shape == ct.array.shape
    assert np.abs(view.image_hu - np.maximum(ct.array, -1000)).max() <= 1
    liver = view.labels.classes[0] == 1
    assert liver.any()
    assert (view.image_hu[liver] > 95).all()
    assert view.half_labels.classes.shape == (3, 10, 18, 21)


def test_a_zoomed_view_covers_the_same_extent() -> None:
    ct, _ = make_phantom(3, (20, 35, 41), (8.0, 7.0, 6.0), PhantomOptions(centre_mm=20.0))
    rng = np.random.default_rng(4)
    view = make_view(ct, TEACHER, rng, WarpRange((0.0, 0.0, 0.0), 0.4, 0.0))
    ratio = np.array(view.image_hu.shape) / np.array(ct.array.shape)
    assert np.ptp(ratio) < 0.1
    assert abs(ratio.mean() - 1) > 0.05
    body, source = (view.image_hu > -300).mean(), (ct.array > -300).mean()
    assert abs(body - source) < 0.03


def test_a_view_comes_back_from_its_folder(tmp_path: Path) -> None:
    ct, _ = make_phantom(3, (20, 35, 41), (8.0, 7.0, 6.0), PhantomOptions(centre_mm=20.0))
    view = make_view(ct, TEACHER, np.random.default_rng(0), STILL)
    write_view(view, tmp_path / "a-000")
    back = open_view(tmp_path / "a-000")
    assert np.array_equal(back.image_hu, view.image_hu)
    assert np.array_equal(back.labels.classes, view.labels.classes)
    assert np.array_equal(back.half_labels.shares, view.half_labels.shares)
    assert back.spacing_mm == view.spacing_mm
    (tmp_path / "b-000.partial").mkdir()
    (tmp_path / "b-000.partial" / "view.json").write_text("{}")
    assert len(open_views(tmp_path)) == 1
