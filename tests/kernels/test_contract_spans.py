"""What every Span promises, whatever its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flare_trt.kernels import Span


@st.composite
def spans(draw: st.DrawFn) -> Span:
    source, target = draw(st.integers(1, 2000)), draw(st.integers(1, 2000))
    start = draw(st.integers(0, target - 1))
    return Span(source, target, start, draw(st.integers(start + 1, target)))


@given(spans())
def test_coordinates_lie_on_the_axis_and_rise_evenly(span: Span) -> None:
    coordinates = span.coordinates()
    assert len(coordinates) == span.target_stop - span.target_start
    assert coordinates.min() >= -0.5
    assert coordinates.max() <= span.source_size - 0.5
    assert np.allclose(np.diff(coordinates), span.source_size / span.target_size)


@given(spans())
def test_coordinates_mirror_with_the_axis(span: Span) -> None:
    mirrored = replace(span, target_start=span.target_size - span.target_stop, target_stop=span.target_size - span.target_start)
    assert np.allclose(mirrored.coordinates()[::-1], span.source_size - 1 - span.coordinates())


@given(spans(), st.integers(0, 50))
def test_coordinates_of_a_part_and_of_a_slab(span: Span, source_start: int) -> None:
    whole = Span.whole(span.source_size, span.target_size).coordinates()
    part = replace(span, source_start=source_start).coordinates()
    assert np.array_equal(part, whole[span.target_start : span.target_stop] - source_start)


@given(spans(), st.sampled_from([0, 1, 3]))
def test_the_samples_needed_hold_all_taps(span: Span, order: int) -> None:
    low, high = span.source_needed(order)
    coordinates = span.coordinates()
    reach = {0: 0, 1: 0, 3: 16}[order] if span.source_size != span.target_size else 0
    assert 0 <= low < high <= span.source_size
    assert low <= max(0, np.floor(coordinates.min()) - reach)
    assert high >= min(span.source_size, np.ceil(coordinates.max()) + 1 + reach)


@given(st.integers(1, 300), st.integers(0, 299))
def test_a_copied_axis_maps_each_sample_to_itself(size: int, start: int) -> None:
    span = Span(size, size, min(start, size - 1), size)
    assert np.array_equal(span.coordinates(), np.arange(span.target_start, size))
    assert span.source_needed(3) == (span.target_start, size)
