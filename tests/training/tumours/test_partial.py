from __future__ import annotations

import numpy as np
import pytest

from flare_trt.engine.base.errors import InputError
from flare_trt.training.tumours.agreement import DOUBT, agreed_view
from flare_trt.training.tumours.partial import lesions_not_asked_for, mark_suspects
from flare_trt.training.tumours.plant import plant_lesions
from flare_trt.training.tumours.scene import FULL, IGNORED, PARTIAL, Scene
from tests.training.tumours.tumour_fixtures import abdomen_view, liver_scene


def liver_with_a_dark_part() -> tuple[Scene, np.ndarray]:
    scene = liver_scene((53, 84, 90))  # large enough for liver that is far from its surface and from the dark part
    dark = np.zeros(scene.shape, bool)
    dark[14:22, 18:28, 18:28] = True
    scene.hu[dark] -= 45
    return Scene(scene.hu, scene.organs, scene.trust, scene.spacing_mm), dark


def test_liver_that_differs_from_the_rest_may_be_a_tumour_in_a_cohort_of_metastases() -> None:
    scene, dark = liver_with_a_dark_part()
    mark_suspects(scene, "crlm_1004")
    assert np.mean(scene.trust[dark] == PARTIAL) > 0.95  # its corners are as bright as the rest once the noise is gone
    plain = np.zeros(scene.shape, bool)
    plain[32:40, 36:60, 36:60] = True
    assert np.mean(scene.trust[plain] == FULL) > 0.95
    assert np.all(scene.trust[:2] == FULL)  # far from the liver


def test_the_gallbladder_beside_a_suspect_liver_is_known_to_be_none() -> None:
    scene, dark = liver_with_a_dark_part()
    scene.organs[dark] = 9
    mark_suspects(scene, "crlm_1006")
    assert np.all(scene.trust[dark] == FULL)
    assert np.any(scene.trust == PARTIAL)


def test_a_cohort_of_peritoneal_disease_is_suspect_but_for_plain_organs_and_a_healthy_scan_nowhere() -> None:
    scene, dark = liver_with_a_dark_part()
    mark_suspects(scene, "lidc_0002")
    assert np.all(scene.trust == FULL)
    mark_suspects(scene, "tcga_ov")
    liver = scene.of((1,))
    assert np.all(scene.trust[~liver] == PARTIAL)
    assert np.mean(scene.trust[dark] == PARTIAL) > 0.95
    assert np.mean(scene.trust[liver] == FULL) > 0.4
    assert plant_lesions(scene, np.random.default_rng(0)) > 0


def test_what_is_ignored_stays_ignored() -> None:
    scene, _ = liver_with_a_dark_part()
    scene.trust[0] = IGNORED
    mark_suspects(scene, "tcga_ov")
    assert np.all(scene.trust[0] == IGNORED)


def test_where_two_networks_differ_the_label_is_doubtful() -> None:
    first, second = abdomen_view().view, abdomen_view().view
    second.labels.classes[0, 20, 20:30, 20:30] = 6
    differ = second.labels.classes[0] != first.labels.classes[0]
    assert np.count_nonzero(differ) > 50
    agreed = agreed_view(first, second)
    np.testing.assert_array_equal(agreed.labels.classes[0] == DOUBT, differ)
    np.testing.assert_array_equal(agreed.labels.classes[0][~differ], first.labels.classes[0][~differ])
    assert agreed.labels.dense(DOUBT + 1)[DOUBT].numpy()[differ].min() == 1


def test_views_of_two_images_do_not_agree() -> None:
    first, second = abdomen_view().view, abdomen_view().view
    second.image_hu[3, 3, 3] += 1
    with pytest.raises(InputError, match="same CTs and seed"):
        agreed_view(first, second)


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
