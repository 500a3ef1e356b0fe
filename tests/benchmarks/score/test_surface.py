from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.phantoms import blob

from flare_trt.benchmarks.score.dice import dice
from flare_trt.benchmarks.score.surface import surface_dice

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metrics.json").read_text())["cases"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"seed{case['seed']}")
def test_golden_values(case: dict[str, Any]) -> None:
    shape = tuple(case["shape_zyx"])
    reference, prediction = blob(case["seed"], shape), blob(case["seed"] + 50, shape)  # type: ignore[arg-type]
    nsd = surface_dice(reference, prediction, tuple(case["spacing_mm"]), case["tolerance_mm"])
    assert nsd == pytest.approx(case["nsd"], abs=1e-6)
    assert dice(reference, prediction) == pytest.approx(case["dsc"], abs=1e-12)
    assert dice(reference, prediction) == pytest.approx(case["dsc_monai"], abs=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(40))
def test_equals_surface_distance(seed: int) -> None:
    metrics = pytest.importorskip("surface_distance.metrics")
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(2, 26, 3))
    spacing = tuple(float(mm) for mm in random.choice([0.5, 0.6, 0.7, 0.75, 0.8, 1.0, 1.25, 2.5, 3.0], 3))
    tolerance = float(random.choice([2.0, 3.0, 5.0, 7.0]))
    reference, prediction = blob(seed, shape), blob(seed + 1000, shape)  # type: ignore[arg-type]
    distances = metrics.compute_surface_distances(reference.T, prediction.T, spacing[::-1])
    expected = metrics.compute_surface_dice_at_tolerance(distances, tolerance)
    found = surface_dice(reference, prediction, spacing, tolerance)  # type: ignore[arg-type]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_shift_counts_up_to_the_tolerance_and_not_beyond() -> None:
    reference = np.zeros((12, 13, 14), bool)
    reference[3:7, 3:9, 2:6] = True
    shifted = np.roll(reference, 2, axis=2)
    assert surface_dice(reference, shifted, (1.0, 1.0, 1.0), 2.0) == 1.0
    assert 0 < surface_dice(reference, shifted, (1.0, 1.0, 1.0), 1.999) < 1
    assert 0 < surface_dice(reference, shifted, (1.0, 1.0, 1.001), 2.0) < 1


def test_far_apart_scores_zero() -> None:
    reference, prediction = np.zeros((2, 5, 6, 40), bool)
    reference[1:3, 1:4, 1:4] = prediction[1:3, 1:4, 30:34] = True
    assert surface_dice(reference, prediction, (1.0, 1.0, 1.0), 5.0) == 0.0


def test_absent_structures() -> None:
    empty, full = np.zeros((4, 5, 6), bool), np.ones((4, 5, 6), bool)
    assert math.isnan(surface_dice(empty, empty, (1.0, 1.0, 1.0), 2.0))
    assert surface_dice(empty, full, (1.0, 1.0, 1.0), 2.0) == 0.0
    assert surface_dice(full, empty, (1.0, 1.0, 1.0), 2.0) == 0.0
    assert surface_dice(full, full, (1.0, 1.0, 1.0), 2.0) == 1.0


def test_a_crop_to_the_joint_box_changes_nothing() -> None:
    reference, prediction = np.zeros((2, 9, 14, 15), bool)
    reference[2:6, 3:9, 4:11] = prediction[3:7, 5:12, 2:9] = True
    whole = surface_dice(reference, prediction, (2.5, 0.8, 0.7), 2.0)
    box = slice(2, 7), slice(3, 12), slice(2, 11)
    assert 0 < whole < 1
    assert surface_dice(reference[box], prediction[box], (2.5, 0.8, 0.7), 2.0) == pytest.approx(whole, abs=1e-12)
