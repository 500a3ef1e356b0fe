from __future__ import annotations

import math

import numpy as np

from flare_trt.benchmarks.score.dice import dice


def test_definition() -> None:
    reference = np.array([[[True, True, False, False, True]]])
    prediction = np.array([[[True, False, True, False, False]]])
    assert dice(reference, prediction) == 2 * 1 / (3 + 2)
    assert dice(reference, reference) == 1.0
    assert dice(reference, ~reference) == 0.0


def test_undefined_where_both_are_empty() -> None:
    empty = np.zeros((2, 3, 4), bool)
    assert math.isnan(dice(empty, empty))
    assert dice(empty, ~empty) == 0.0


def test_counts_do_not_overflow() -> None:
    mask = np.ones((300, 300, 300), bool)  # 2 * 27e6 is beyond what a careless uint8 or float16 sum holds
    assert dice(mask, mask) == 1.0
