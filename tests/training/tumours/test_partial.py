from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.config import MixConfig
from flare_trt.training.distil.views import open_view, write_view
from flare_trt.training.tumours import partial
from flare_trt.training.tumours.agreement import DOUBT, SUSPECT, agreed_view, agreed_views
from flare_trt.training.tumours.draw import _cut
from flare_trt.training.tumours.partial import lesions_not_asked_for, mark_suspects
from flare_trt.training.tumours.plant import plant_lesions
from flare_trt.training.tumours.scene import FULL, IGNORED, PARTIAL, Scene
from tests.training.tumours.tumour_fixtures import abdomen_view, liver_scene, tumour_config


def liver_beside_another(label: int) -> tuple[Scene, np.ndarray]:
    scene = liver_scene((53, 84, 90))
    other = np.zeros(scene.shape, bool)
    other[14:22, 18:28, 18:28] = True
    scene.organs[other] = label
    return scene, other


def test_a_suspect_organ_and_what_lies_beside_it_is_not_known_but_another_organ_is() -> None:
    scene, gallbladder = liver_beside_another(9)
    scene.organs[scene.organs == 1] = 4
    mark_suspects(scene, "cptac_pda")
    assert np.all(scene.trust[scene.of((4,))] == PARTIAL)
    assert np.all(scene.trust[gallbladder] == FULL)
    assert np.all(scene.trust[6, 20:60, 20:60] == PARTIAL)  # 5 mm outside
    assert np.all(scene.trust[:2] == FULL)


def test_a_cohort_of_peritoneal_disease_is_known_in_the_organs_that_were_looked_at_and_a_healthy_scan_everywhere() -> None:
    scene, _ = liver_beside_another(11)
    mark_suspects(scene, "lidc_0002")
    assert np.all(scene.trust == FULL)
    mark_suspects(scene, "tcga_ov")
    assert np.all(scene.trust[scene.of((1,))] == FULL)
    assert np.all(scene.trust[7, 20:60, 20:60] == FULL)  # 2.5 mm outside
    assert np.all(scene.trust[18:20, 22:24, 22:24] == PARTIAL), "the middle of the stomach"
    assert np.all(scene.trust[:2] == PARTIAL)
    assert plant_lesions(scene, np.random.default_rng(0)) > 0


def test_where_a_ct_may_show_a_tumour_is_said_in_mm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(partial.UNDRAWN, "seen", (partial.Ball((10.0, 12.0, 9.0), 5.0),))
    where = partial.undrawn("seen", (9, 20, 11), (2.5, 1.5, 2.0))
    places = np.argwhere(where) * (2.5, 1.5, 2.0)
    assert np.linalg.norm(places - (10, 12, 9), axis=1).max() < 5
    assert abs(np.count_nonzero(where) * 7.5 - 4 / 3 * np.pi * 125) < 60
    assert not partial.undrawn("lidc_0002", (3, 4, 5), (1.0, 1.0, 1.0)).any()


def test_what_is_ignored_stays_ignored() -> None:
    scene = liver_scene()
    scene.trust[0] = IGNORED
    mark_suspects(scene, "tcga_ov")
    assert np.all(scene.trust[0] == IGNORED)


def test_where_two_networks_differ_the_label_is_doubtful() -> None:
    first, second = abdomen_view().view, abdomen_view().view
    second.labels.classes[0, 20, 20:30, 20:30] = 6
    differ = second.labels.classes[0] != first.labels.classes[0]
    assert np.count_nonzero(differ) > 50
    agreed = agreed_view(first, second, "lidc_0002")
    np.testing.assert_array_equal(agreed.labels.classes[0] == DOUBT, differ)
    np.testing.assert_array_equal(agreed.labels.classes[0][~differ], first.labels.classes[0][~differ])
    assert agreed.labels.dense(DOUBT + 1)[DOUBT].numpy()[differ].min() == 1


def test_what_may_be_a_tumour_is_doubtful_and_only_known_in_the_first_view(tmp_path: Path) -> None:
    view = abdomen_view().view
    for cache, number in itertools.product(("teacher", "other"), range(2)):
        for ct in ("crlm_1004", "lidc_0002"):
            write_view(view, tmp_path / cache / f"{ct}-{number:03d}")
    agreed_views(tmp_path / "teacher", tmp_path / "other", tmp_path / "agreed")
    assert [path.name for path in sorted((tmp_path / "agreed").iterdir())] == ["crlm_1004-000", "lidc_0002-000", "lidc_0002-001"]
    agreed = open_view(tmp_path / "agreed" / "crlm_1004-000")
    suspect = agreed.labels.classes[0] == SUSPECT
    np.testing.assert_array_equal(suspect, partial.undrawn("crlm_1004", view.image_hu.shape, view.spacing_mm))
    assert suspect.any()


def test_a_doubtful_organ_is_no_tumour_and_a_suspect_is_not_known() -> None:
    named = abdomen_view()
    for label, half in ((DOUBT, slice(0, 26)), (SUSPECT, slice(26, None))):
        named.view.labels.classes[0][:, half] = label
    config = tumour_config(mix=MixConfig(phantom=0))
    cut = _cut(named.view, config, np.random.default_rng(0))
    assert set(np.unique(cut.organs)) == {0}
    assert set(np.unique(cut.trust)) == {IGNORED, FULL}


def test_views_of_two_images_do_not_agree() -> None:
    first, second = abdomen_view().view, abdomen_view().view
    second.image_hu[3, 3, 3] += 1
    with pytest.raises(InputError, match="same CTs and seed"):
        agreed_view(first, second, "lidc_0002")


def test_lesions_that_nobody_could_see_and_bright_ones_are_not_asked_for() -> None:
    rng = np.random.default_rng(0)
    hu, classes = rng.normal(100, 12, (20, 40, 60)).astype(np.int16), np.ones((20, 40, 60), np.uint8)
    seen = {"dark": (5, 12.0), "bright": (20, 12.0), "as the liver": (35, 12.0), "mottled": (50, 40.0)}
    means = {"dark": 70, "bright": 130, "as the liver": 96, "mottled": 98}
    places = {name: (slice(8, 13), slice(15, 24), slice(x - 4, x + 5)) for name, (x, _) in seen.items()}
    for name, place in places.items():
        hu[place] = rng.normal(means[name], seen[name][1], hu[place].shape)
        classes[place] = 14
    lesions = np.zeros(hu.shape, np.uint8)
    for number, place in enumerate(places.values(), start=1):
        lesions[place] = number
    left_out = lesions_not_asked_for(hu, classes, lesions)
    expected = np.zeros(hu.shape, bool)
    expected[places["as the liver"]] = expected[places["bright"]] = True
    np.testing.assert_array_equal(left_out, expected)
    classes[classes == 1] = 11
    np.testing.assert_array_equal(lesions_not_asked_for(hu, classes, lesions), lesions > 0, "in the stomach's wall")
