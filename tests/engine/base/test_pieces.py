"""Pieces of masks, beside SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from flare_trt.engine.base.pieces import label_pieces, piece_cuts


@pytest.mark.parametrize("faces_alone", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 1.0])
def test_pieces_and_their_boxes_are_those_of_scipy(faces_alone: bool, share: float) -> None:
    mask = np.random.default_rng(1).random((13, 17, 19)) < share
    mask[0] = share == 1.0
    numbers, count = label_pieces(mask, faces_alone)
    known, expected = ndimage.label(mask, None if faces_alone else np.ones((3, 3, 3)))
    assert (count, numbers.dtype) == (expected, np.int32)
    pairs = np.unique(np.stack([numbers.ravel(), known.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(numbers))  # one number of ours for each of theirs
    assert piece_cuts(numbers) == ndimage.find_objects(numbers)
