from __future__ import annotations

import numpy as np

from flare_trt.training.pieces import find_pieces


def test_touching_labels_are_apart_and_corners_connect() -> None:
    labels = np.zeros((4, 4, 6), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = 7
    labels[1, 1, 2] = 3
    labels[3, 3, 5] = 7
    pieces = find_pieces(labels)
    assert sorted(zip(pieces.label[1:].tolist(), pieces.voxels[1:].tolist(), strict=True)) == [(3, 1), (7, 1), (7, 2)]
    assert np.array_equal(pieces.label[pieces.index], labels)


def test_a_map_without_background_works() -> None:
    pieces = find_pieces(np.full((2, 3, 4), 5, np.uint8))
    assert pieces.label.tolist() == [0, 5]
    assert pieces.voxels.tolist() == [0, 24]
