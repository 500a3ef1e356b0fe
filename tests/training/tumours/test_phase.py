from __future__ import annotations

import numpy as np

from flare_trt.training.tumours import phase
from flare_trt.training.tumours.phase import vary_phase
from flare_trt.training.tumours.scene import smoothed
from tests.training.tumours.tumour_fixtures import FAT_HU, LIVER_HU, liver_scene


def vary_in_share_of_patches(monkeypatch, organs: float, vessels: float) -> None:
    monkeypatch.setattr(phase, "ORGANS_VARIED", organs)
    monkeypatch.setattr(phase, "VESSELS_VARIED", vessels)


def test_an_organ_is_moved_and_the_fat_beside_it_is_not(monkeypatch) -> None:
    vary_in_share_of_patches(monkeypatch, organs=1.0, vessels=0.0)
    monkeypatch.setattr(phase, "UNENHANCED", 0.0)
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


def test_without_contrast_organs_have_the_hu_of_unenhanced_scans_and_less_structure(monkeypatch) -> None:
    vary_in_share_of_patches(monkeypatch, organs=1.0, vessels=0.0)
    monkeypatch.setattr(phase, "UNENHANCED", 1.0)
    contrasts = []
    for seed in range(8):
        scene = liver_scene((41, 65, 75))
        scene.organs[:, :, 36:][scene.organs[:, :, 36:] == 1] = 2
        scene.hu[scene.organs == 2] += 150
        scene.hu[18:24, 20:28, 48:58] += 60  # a pyramid in the kidney
        scene.smooth = smoothed(scene.hu, 1.8, scene.spacing_mm)
        vary_phase(scene, np.random.default_rng(seed))
        liver_hu, kidney_hu = float(scene.hu[14:27, 20:45, 14:30].mean()), float(scene.hu[14:27, 38:48, 46:58].mean())
        assert phase.UNENHANCED_HU[(1,)][0] - 2 < liver_hu < phase.UNENHANCED_HU[(1,)][1] + 2
        assert phase.UNENHANCED_HU[(2, 13)][0] - 3 < kidney_hu < phase.UNENHANCED_HU[(2, 13)][1] + 3
        assert 5 < float(scene.hu[20:22, 23:26, 51:55].mean()) - kidney_hu < 30
        contrasts.append(kidney_hu - liver_hu)
    assert min(contrasts) < -30


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
