from __future__ import annotations

import numpy as np
import pytest

from flare_trt.training.tumours.held_out import LesionScore, plant_large, score_lesions, whole_scene
from flare_trt.training.tumours.recipe import TUMOUR
from tests.training.tumours.tumour_fixtures import SPACING_MM, liver_scene

ML = 0.1


def test_lesions_found_and_false_pieces_are_counted() -> None:
    truth, found = np.zeros((2, 12, 20, 24), bool)
    truth[2:5, 2:5, 2:5] = True  # 27 voxels, half of it found
    found[2:5, 2:5, 2:4] = True
    truth[2:4, 12:14, 12:14] = True  # 8 voxels, not found
    found[8:10, 2:4, 2:6] = True  # a false piece of 1.6 ml
    found[8, 12, 12] = True  # a speck
    score = score_lesions(found, truth, ML)
    assert (score.lesions, score.found, score.false_pieces) == (2, 1, 1)
    assert score.dice == pytest.approx(2 * 18 / (35 + 18 + 16 + 1))


def test_a_healthy_scan_without_findings_is_perfect() -> None:
    nothing = np.zeros((4, 5, 6), bool)
    assert score_lesions(nothing, nothing, ML) == LesionScore(1.0, 0, 0, 0)


def test_means_weigh_lesions_and_not_scans() -> None:
    assert LesionScore.mean([LesionScore(0.5, 1, 1, 0), LesionScore(0.7, 3, 1, 2)]) == (pytest.approx(0.6), 0.5, 1.0)


def test_a_whole_scan_is_cut_to_its_organs_and_planted() -> None:
    source = liver_scene(border=14)
    scene = whole_scene(source.hu, source.labels, SPACING_MM)
    assert np.count_nonzero(scene.labels == 1) == np.count_nonzero(source.labels == 1)
    assert plant_large(scene, 1, 2) >= 1
    assert np.count_nonzero(scene.labels == TUMOUR) * np.prod(SPACING_MM) > 300
