from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flare_trt.training.tumours.plant import draw_look, plant_lesion, plant_lesions
from flare_trt.training.tumours.recipe import HOSTS, LEAST_SOLID_HU, TUMOUR, Look
from flare_trt.training.tumours.scene import FULL, PARTIAL
from tests.training.tumours.tumour_fixtures import LIVER_HU, NOISE_HU, SPACING_MM, liver_scene

LIVER = replace(HOSTS[0], outward=0.0)
PLAIN = Look(
    contrast_hu=-40, border_mm=1.5, keep=0, texture_hu=0, texture_mm=4, rim_hu=0, rim_mm=2, core_hu=0,
    necrotic=False, calcified=0, chalk_hu=0, push=0,
)  # fmt: skip


def planted(seed: int = 1, look: Look = PLAIN, size_mm: float = 24.0, host=LIVER):
    scene = liver_scene()
    assert plant_lesion(scene, host, look, size_mm, np.random.default_rng(seed))
    return scene


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_plants_the_same_lesion(seed: int) -> None:
    first, again, other = planted(seed), planted(seed), planted(seed + 10)
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.tumour, again.tumour)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize("contrast", [-40.0, 35.0])
def test_a_lesion_has_the_contrast_to_its_organ_and_the_scan_s_noise(contrast: float) -> None:
    scene = planted(look=replace(PLAIN, contrast_hu=contrast))
    deep = scene.tumour >= 1
    assert np.count_nonzero(deep) > 200
    assert scene.hu[deep].mean() == pytest.approx(LIVER_HU + contrast, abs=4)
    assert scene.hu[deep].std() == pytest.approx(NOISE_HU, rel=0.35)


def test_no_solid_part_is_as_dark_as_fluid() -> None:
    scene = planted(look=replace(PLAIN, contrast_hu=-300))
    assert scene.hu[scene.tumour >= 1].mean() == pytest.approx(LEAST_SOLID_HU, abs=6)


def test_a_necrotic_core_is_fluid_and_lies_inside() -> None:
    scene = planted(look=replace(PLAIN, core_hu=20, necrotic=True), size_mm=40)
    smooth = scene.smooth[scene.tumour >= 1]
    assert np.quantile(smooth, 0.1) < 25
    assert np.quantile(smooth, 0.9) > 50


def test_chalk_is_brighter_than_the_organ() -> None:
    scene = planted(look=replace(PLAIN, calcified=0.3, chalk_hu=400))
    share = np.mean(scene.hu[scene.tumour >= 1] > LIVER_HU + 60)
    assert 0.1 < share < 0.6


def test_a_lesion_stays_in_its_organ_and_grows_out_of_it_where_asked() -> None:
    inside = planted(size_mm=30)
    liver = liver_scene().labels == 1
    assert np.count_nonzero((inside.labels == TUMOUR) & ~liver) < 0.05 * np.count_nonzero(inside.labels == TUMOUR)
    outward = replace(LIVER, outward=1.0)
    beyond = [np.count_nonzero((planted(seed, size_mm=30, host=outward).labels == TUMOUR) & ~liver) for seed in range(4)]
    assert max(beyond) > 300


def test_shares_stay_probabilities_and_what_is_planted_is_trusted_and_numbered() -> None:
    scene = liver_scene()
    scene.trust[:, :, :25] = PARTIAL
    assert plant_lesion(scene, LIVER, replace(PLAIN, push=0.4), 26.0, np.random.default_rng(6))
    assert plant_lesion(scene, LIVER, replace(PLAIN, push=0.4), 20.0, np.random.default_rng(7))
    assert (scene.tumour.min(), scene.tumour.max()) == (0, pytest.approx(1))
    tumour = scene.tumour > 0.5
    np.testing.assert_array_equal(scene.labels, np.where(tumour, TUMOUR, scene.organs))
    assert np.mean(scene.trust[tumour] == FULL) > 0.98  # a later lesion moves both, one of them by whole voxels
    assert np.mean((scene.lesions > 0) == tumour) > 0.99
    assert set(np.unique(scene.lesions)) == {0, 1, 2}


def test_a_lesion_starts_only_where_the_label_is_trusted() -> None:
    scene = liver_scene()
    scene.trust[:] = PARTIAL
    assert plant_lesion(scene, LIVER, PLAIN, 20.0, np.random.default_rng(1)) is False
    assert plant_lesions(scene, np.random.default_rng(1)) == 0
    assert not scene.tumour.any()


def test_mass_effect_pushes_the_surface_out() -> None:
    """A lesion that pushes enlarges organ and lesion together; one that does not leaves their sum as it was."""
    before = np.count_nonzero(liver_scene().labels)
    still = np.count_nonzero(planted(look=PLAIN, size_mm=34).labels)
    pushed = [np.count_nonzero(planted(seed, replace(PLAIN, push=0.5), 34).labels) for seed in range(5)]
    assert still == pytest.approx(before, rel=0.005)
    assert max(pushed) > 1.01 * before


def test_a_lesion_of_the_stomach_wall_is_no_gas() -> None:
    scene = liver_scene(label=11)
    gas = np.zeros(scene.shape, bool)
    gas[12:-12, 14:-14, 14:-14] = True
    scene.hu[gas], scene.smooth[gas] = -900, -900
    wall = next(host for host in HOSTS if host.wall)
    assert plant_lesion(scene, wall, replace(PLAIN, contrast_hu=0), 22.0, np.random.default_rng(2))
    assert np.count_nonzero((scene.labels == TUMOUR) & gas) < 0.2 * np.count_nonzero(scene.labels == TUMOUR)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_looks_lie_in_their_organ_s_range(host) -> None:
    assert sum(kind.share for kind in host.contrasts) == pytest.approx(1)
    rng = np.random.default_rng(8)
    low, high = min(kind.low_hu for kind in host.contrasts), max(kind.high_hu for kind in host.contrasts)
    for _ in range(50):
        assert low <= draw_look(host, rng).contrast_hu <= high


def test_many_lesions_of_a_patch_have_plausible_sizes() -> None:
    counts, volumes = [], []
    for seed in range(12):
        scene = liver_scene()
        counts.append(plant_lesions(scene, np.random.default_rng(seed)))
        volumes.append(np.count_nonzero(scene.labels == TUMOUR) * np.prod(SPACING_MM) / 1000)
    assert min(counts) >= 1
    assert 3 <= max(counts) <= 3 * max(host.most for host in HOSTS)
    assert 1 < np.median(volumes) < 80
