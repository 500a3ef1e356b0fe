"""Where tiles start and how they are weighted, each against nnunetv2 itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_trt.engine.passes.tiles import gaussian, tile_starts

pytestmark = pytest.mark.peer


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


def test_a_slice_is_weighted_in_its_plane_alone() -> None:
    import torch
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    expected = compute_gaussian((40, 33), 1.0 / 8, 10, device=torch.device("cpu")).numpy()
    np.testing.assert_array_equal(gaussian((1, 40, 33))[0].view(np.uint16), expected.view(np.uint16))


def test_a_tile_larger_than_the_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="size >= patch"):
        tile_starts(10, 11, 0.5)
