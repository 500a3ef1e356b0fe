from __future__ import annotations

import numpy as np

from flare_trt.training.tumours import phase
from flare_trt.training.tumours.phase import vary_phase
from tests.training.tumours.tumour_fixtures import FAT_HU, LIVER_HU, liver_scene


def vary_in_share_of_patches(monkeypatch, organs: float, vessels: float) -> None:
    monkeypatch.setattr(phase, "ORGANS_VARIED", organs)
    monkeypatch.setattr(phase, "VESSELS_VARIED", vessels)


def test_an_organ_is_moved_and_the_fat_beside_it_is_not(monkeypatch) -> None:
    vary_in_share_of_patches(monkeypatch, organs=1.0, vessels=0.0)
    medians = []
    for seed in range(4):
        scene = liver_scene()
        before = scene.hu.copy()
        vary_phase(scene, np.random.default_rng(seed))
        medians.append(float(np.median(scene.hu[scene.organs == 1])))
        assert abs(float(np.median(scene.hu[scene.organs == 0])) - FAT_HU) < 2
        np.testing.assert_array_equal(scene.hu[:4], before[:4])
        assert abs(float((scene.hu - before)[16, 24, 27] - (scene.smooth - liver_scene().smooth)[16, 24, 27])) < 1e-3
    assert min(medians) < LIVER_HU - 10
    assert all(phase.LIVER_HU[0] - 2 < hu < phase.LIVER_HU[1] + 2 for hu in medians)


def test_a_vessel_becomes_its_opposite_and_little_noise_comes_with_it(monkeypatch) -> None:
    vary_in_share_of_patches(monkeypatch, organs=0.0, vessels=1.0)
    contrasts = []
    for seed in range(8):
        scene = liver_scene()
        scene.hu[12:21, 22:27, 12:42] += 40
        vary_phase(scene, np.random.default_rng(seed))
        contrasts.append(float(scene.hu[16, 24, 20:34].mean() - np.median(scene.hu[scene.organs == 1])))
        assert abs(float((scene.hu - liver_scene().hu)[14:19, 32:35, 20:34].mean())) < 3
    assert min(contrasts) < -10
    assert max(contrasts) > 45
