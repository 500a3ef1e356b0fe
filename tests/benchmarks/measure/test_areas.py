from __future__ import annotations

import numpy as np
import pytest

from flare_trt.benchmarks.measure.areas import TOLERANCE_MB, Curve, areas


def test_three_areas_of_an_uneven_curve() -> None:
    found = areas(Curve((0.0, 0.1, 0.4), (100.0, 300.0, 200.0), wall_s=0.5, interval_s=0.1, baseline_mb=100.0))
    assert found is not None
    assert found.peak_mb == 300
    assert found.official_mb_s == pytest.approx(60.0)  # (100 + 300 + 200) * 0.1, blind to the reading that took 0.2 s
    assert found.true_mb_s == pytest.approx(20 + 75 + 20)
    assert found.above_baseline_mb_s == pytest.approx(115 - 0.5 * 100)
    assert (found.above_tolerance_mb, found.above_tolerance_mb_s, found.complete) == (0.0, 0.0, True)


def test_what_lies_above_the_tolerance() -> None:
    low, high = TOLERANCE_MB - 1000, TOLERANCE_MB + 1000
    found = areas(Curve((0.0, 1.0, 2.0), (low, high, low), wall_s=2.0, interval_s=1.0))
    assert found is not None
    assert found.above_tolerance_mb == 1000
    assert found.above_tolerance_mb_s == pytest.approx(2 * (0.5 * 500))  # triangles where the line crosses


def test_memory_under_the_baseline_does_not_count_against_the_rest() -> None:
    found = areas(Curve((0.0, 1.0, 2.0, 3.0), (500.0, 500.0, 900.0, 900.0), 3.0, 1.0, baseline_mb=700.0))
    assert found is not None
    assert found.above_baseline_mb_s == pytest.approx(0.5 * 0.5 * 200 + 200)


def test_equals_a_fine_numerical_integral() -> None:
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0, 5, 40))
    values = random.uniform(3000, 6000, 40)
    found = areas(Curve(times.tolist(), values.tolist(), 6.0, 0.1, baseline_mb=3500.0))
    grid = np.linspace(0, 6, 2_000_001)
    curve = np.interp(grid, times, values)
    step = grid[1]
    assert found is not None
    assert found.true_mb_s == pytest.approx(curve.sum() * step, rel=1e-5)
    assert found.above_baseline_mb_s == pytest.approx(np.maximum(curve - 3500, 0).sum() * step, rel=1e-5)
    assert found.above_tolerance_mb_s == pytest.approx(np.maximum(curve - TOLERANCE_MB, 0).sum() * step, rel=1e-5)


def test_a_curve_that_breaks_off_is_incomplete_and_not_extended() -> None:
    found = areas(Curve((0.0, 1.0, 2.0), (100.0, 100.0, None), wall_s=50.0, interval_s=1.0, until_s=1.0))
    assert found is not None
    assert (found.true_mb_s, found.complete) == (100.0, False)


def test_nothing_read_is_no_area() -> None:
    assert areas(Curve((0.0, 1.0), (None, None), 1.0, 1.0)) is None


def test_one_sample_is_held_over_the_whole_run() -> None:
    found = areas(Curve((0.01,), (50.0,), 0.2, 0.1))
    assert found is not None
    assert found.true_mb_s == pytest.approx(10.0)
