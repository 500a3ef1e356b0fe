"""Shapes, the separate axis, tile starts and the Gaussian, each against nnunetv2 itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_trt.engine.passes.geometry import separate_axis, target_shape
from flare_trt.engine.passes.tiles import gaussian, tile_starts

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


@settings(max_examples=400, deadline=None)
@given(patch=st.integers(1, 200), more=st.integers(0, 900), step=st.sampled_from([0.3, 0.5, 0.75, 0.8, 1.0]))
def test_tile_starts(patch: int, more: int, step: float) -> None:
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    expected = compute_steps_for_sliding_window((patch + more,), (patch,), step)[0]
    assert list(tile_starts(patch + more, patch, step)) == expected


@pytest.mark.parametrize("patch", [(96, 160, 128), (32, 48, 40), (17, 33, 5), (1, 2, 3)])
def test_gaussian_bit_for_bit(patch: tuple[int, int, int]) -> None:
    import torch
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    expected = compute_gaussian(patch, 1.0 / 8, 10, device=torch.device("cpu")).numpy()
    ours = gaussian(patch)
    assert ours.dtype == np.float16
    np.testing.assert_array_equal(ours.view(np.uint16), expected.view(np.uint16))
    assert (ours > 0).all()


def test_a_tile_larger_than_the_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="size >= patch"):
        tile_starts(10, 11, 0.5)
