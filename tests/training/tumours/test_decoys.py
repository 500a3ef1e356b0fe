from __future__ import annotations

import numpy as np
import pytest

from flare_trt.training.tumours.decoys import AIR_HU, DECOYS, ascites, plant_decoys, pleural_effusion, simple_cyst
from flare_trt.training.tumours.recipe import FLUID_HU
from flare_trt.training.tumours.scene import Scene
from tests.training.tumours.tumour_fixtures import liver_scene


def abdomen() -> Scene:
    """The liver's box with a kidney, a gallbladder and a stomach in it, lung above it."""
    scene = liver_scene()
    scene.hu[25:] -= 760
    for label, place in ((2, np.s_[10:18, 10:20, 10:20]), (9, np.s_[10:18, 10:20, 30:40]), (11, np.s_[10:22, 26:40, 10:26])):
        scene.organs[place] = label
    return Scene(scene.hu, scene.organs, scene.trust, scene.spacing_mm)


@pytest.mark.parametrize("decoy", DECOYS, ids=lambda decoy: decoy.__name__)
def test_a_decoy_changes_hu_and_no_label(decoy) -> None:
    changed = False
    for seed in range(3):
        scene, before = abdomen(), abdomen()
        decoy(scene, np.random.default_rng(seed))
        np.testing.assert_array_equal(scene.labels, before.labels)
        np.testing.assert_array_equal(scene.trust, before.trust)
        assert np.isfinite(scene.hu).all()
        changed |= np.count_nonzero(np.abs(scene.hu - before.hu) > 8) > 20
    assert changed


def test_a_simple_cyst_is_fluid() -> None:
    scene, before = liver_scene(), liver_scene()
    simple_cyst(scene, np.random.default_rng(3))
    inside = (np.abs(scene.smooth - before.smooth) > 80) & (before.labels == 1)
    assert np.count_nonzero(inside) > 10
    assert FLUID_HU[0] - 8 < np.median(scene.smooth[inside]) < FLUID_HU[1] + 14


def test_an_effusion_fills_the_dependent_lung() -> None:
    scene, before = abdomen(), abdomen()
    pleural_effusion(scene, np.random.default_rng(0))
    filled = (scene.smooth > -30) & (before.smooth < AIR_HU + 300)
    rows = np.flatnonzero(filled.any((0, 2)))
    assert rows.size > 3
    assert rows[-1] >= scene.shape[1] - 4, "the posterior end"
    assert not filled[:, :5].any(), "nothing lies in front"
    assert FLUID_HU[0] - 10 < np.median(scene.smooth[filled]) < 40
    np.testing.assert_allclose(scene.hu[before.labels > 0], before.hu[before.labels > 0], atol=60)


def test_ascites_lies_around_the_organ_and_not_in_it() -> None:
    scene, before = liver_scene(), liver_scene()
    ascites(scene, np.random.default_rng(0))
    filled = (scene.smooth > -10) & (before.labels == 0) & (before.smooth < -40)
    assert np.count_nonzero(filled) > 500
    np.testing.assert_array_equal(scene.hu[10:23, 12:37, 12:42], before.hu[10:23, 12:37, 12:42])


def test_a_decoy_does_not_paint_over_a_lesion() -> None:
    scene = abdomen()
    scene.tumour[8:25] = 1
    before = scene.hu.copy()
    for seed in range(3):
        simple_cyst(scene, np.random.default_rng(seed))
    np.testing.assert_array_equal(scene.hu[8:25], before[8:25])


def test_decoys_hang_on_the_seed() -> None:
    first, again, other = abdomen(), abdomen(), abdomen()
    for scene, seed in ((first, 1), (again, 1), (other, 2)):
        plant_decoys(scene, np.random.default_rng(seed))
    np.testing.assert_array_equal(first.hu, again.hu)
    assert not np.array_equal(first.hu, other.hu)
