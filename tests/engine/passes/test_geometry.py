"""Shapes after resampling and the separate axis, each against nnunetv2 itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_trt.engine.passes.geometry import separate_axis, target_shape

pytestmark = pytest.mark.peer

SPACINGS = st.sampled_from([0.5, 0.7, 0.79, 0.8, 1.0, 1.25, 2.5, 3.0, 5.0])
TRIPLES = st.tuples(SPACINGS, SPACINGS, SPACINGS)
SHAPES = st.tuples(*[st.integers(5, 700)] * 3)


@settings(max_examples=400, deadline=None)
@given(shape=SHAPES, old=TRIPLES, new=TRIPLES)
def test_target_shape(shape: tuple[int, int, int], old: tuple[float, float, float], new: tuple[float, float, float]) -> None:
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

    theirs = compute_new_shape(shape, old, new)
    assert target_shape(shape, old, new) == tuple(max(1, int(size)) for size in theirs)  # nnU-Net fails where it rounds to 0


def test_target_shape_rounds_half_to_even() -> None:
    assert target_shape((5, 7, 3), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)) == (2, 4, 2)


@settings(max_examples=400, deadline=None)
@given(old=TRIPLES, new=TRIPLES, forced=st.sampled_from([None, True, False]))
def test_separate_axis(old: tuple[float, float, float], new: tuple[float, float, float], forced: bool | None) -> None:
    from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis

    separate, axis = determine_do_sep_z_and_axis(forced, old, new)  # type: ignore[arg-type]
    assert separate_axis(old, new, forced) == (axis if separate else None)
