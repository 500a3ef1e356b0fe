from __future__ import annotations

import numpy as np

from flare_trt.training.distil.windows import probabilities, softmax


def pointwise(tile: np.ndarray) -> np.ndarray:
    return np.stack([tile[0, 0], -2 * tile[0, 0], 0 * tile[0, 0] + 0.5])


def test_a_pointwise_network_gives_its_softmax_whatever_the_tiles() -> None:
    rng = np.random.default_rng(0)
    for shape in [(11, 9, 14), (3, 20, 5), (8, 6, 4)]:
        image = rng.normal(size=shape).astype(np.float32)
        shares = probabilities(pointwise, image, (8, 6, 4))
        assert shares.shape == (3, *shape)
        np.testing.assert_allclose(shares, softmax(pointwise(image[None, None])), atol=1e-6)


def test_a_small_image_is_padded_about_its_centre_with_zeros() -> None:
    seen = []

    def network(tile: np.ndarray) -> np.ndarray:
        seen.append(tile.copy())
        return pointwise(tile)

    probabilities(network, np.ones((3, 6, 4), np.float32), (8, 6, 4))
    assert len(seen) == 1
    assert seen[0][0, 0, :, 0, 0].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_the_middle_of_a_tile_counts_more_than_its_edge() -> None:
    calls = []

    def network(tile: np.ndarray) -> np.ndarray:
        calls.append(None)
        high = float(len(calls) == 1)
        return np.stack([np.full(tile.shape[2:], high), np.full(tile.shape[2:], 1 - high)])

    shares = probabilities(network, np.zeros((12, 4, 4), np.float32), (8, 4, 4))
    assert len(calls) == 2
    assert shares[0, 4, 0, 0] > 0.6
    assert shares[0, 8, 0, 0] < 0.4
