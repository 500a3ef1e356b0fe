"""Costs against counts made by hand and against the arrays that the kernels touch."""

from __future__ import annotations

import numpy as np

from flare_trt.benchmarks.gpu_plan import cost
from flare_trt.benchmarks.gpu_plan.cost import Cost
from flare_trt.kernels import Span


def test_blend_counts_each_array_once() -> None:
    ring, weights, logits, gaussian = (
        np.zeros(shape, dtype) for shape, dtype in (((3, 50), "f2"), ((50,), "f2"), ((3, 50), "f4"), ((50,), "f2"))
    )
    moved = logits.nbytes + gaussian.nbytes + 2 * (ring.nbytes + weights.nbytes)
    assert cost.blend(3, 50) == Cost(moved, 3 * 50 * 2 + 50)


def test_resample_counts_the_passes_that_are_made() -> None:
    spans = (Span.whole(5, 5), Span.whole(8, 6), Span.whole(10, 20))
    expected = cost.resample_axis(5 * 8 * 10, 5 * 6 * 10, 2) + cost.resample_axis(5 * 6 * 10, 5 * 6 * 20, 36)
    assert cost.resample_spline((5, 8, 10), spans, (3, 1, 3)) == expected


def test_a_copy_still_moves_its_bytes() -> None:
    spans = (Span.whole(5, 5), Span.whole(8, 8), Span.whole(10, 10))
    assert cost.resample_spline((5, 8, 10), spans, (3, 3, 3)).bytes_moved == 2 * 4 * 400


def test_planes_of_a_ring() -> None:
    assert cost.finish(14, 100) == Cost(2 * 100 * 29, 1400)
    assert cost.clear(14, 100) == Cost(2 * 100 * 15, 0)
    assert cost.average(1, 14, 100) == Cost(0, 0)
    assert cost.average(5, 14, 100) == Cost(4 * 6 * 1400, 4 * 2 * 1400)


def test_restore_and_reductions() -> None:
    assert cost.restore(14, 1000, 5000) == Cost(2 * 14 * 1000 + 5000, 14 * 5000 * 22)
    assert cost.normalise(10, 2) == Cost(60, 40)
    assert cost.value_range(10, 4) == Cost(40, 20)
    assert cost.bounds(10) == Cost(10, 0)


def test_the_slower_of_memory_and_arithmetic_decides() -> None:
    assert Cost(100, 10).seconds(bytes_per_second=50, flops_per_second=1) == 10
    assert Cost(100, 1).seconds(bytes_per_second=50, flops_per_second=1) == 2
