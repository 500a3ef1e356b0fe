from __future__ import annotations

import numpy as np
import torch

from flare_trt.training.distil.warp import Lattice, Warp, WarpRange, draw_warp, sample

VOLUME = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 9, 11)).astype(np.float32))


def test_the_identity_copies() -> None:
    got = sample(VOLUME, (2.0, 1.0, 0.5), Lattice((7, 9, 11), (2.0, 1.0, 0.5), (6.0, 4.0, 2.5)), Warp.identity())
    torch.testing.assert_close(got, VOLUME, atol=1e-5, rtol=0)


def test_outside_is_zero_and_inside_is_shifted() -> None:
    got = sample(VOLUME, (1.0, 1.0, 1.0), Lattice((3, 9, 11), (1.0, 1.0, 1.0), (7.0, 4.0, 5.0)), Warp.identity())
    torch.testing.assert_close(got[:, 0], VOLUME[:, 6], atol=1e-5, rtol=0)
    assert not got[:, 1:].any()


def test_a_coarser_lattice_takes_linear_samples() -> None:
    ramp = torch.arange(20.0).view(1, 1, 1, 20).expand(1, 3, 3, 20)
    got = sample(ramp, (1.0, 1.0, 1.0), Lattice((1, 1, 4), (1.0, 1.0, 2.5), (1.0, 1.0, 9.5)), Warp.identity())
    torch.testing.assert_close(got[0, 0, 0], torch.tensor([5.75, 8.25, 10.75, 13.25]), atol=1e-4, rtol=0)


def test_a_quarter_turn_about_z_moves_x_to_y() -> None:
    volume = torch.zeros(1, 1, 9, 9)
    volume[0, 0, 4, 7] = 1
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
    got = sample(volume, (1.0, 1.0, 1.0), Lattice((1, 9, 9), (1.0, 1.0, 1.0), (0.0, 4.0, 4.0)), Warp(turn))
    assert [int(i) for i in np.argwhere(got[0].numpy() > 0.9)[0]] == [0, 7, 4]


def test_a_drawn_warp_stays_in_its_limits_and_never_mirrors() -> None:
    rng = np.random.default_rng(1)
    limits = WarpRange((10.0, 5.0, 5.0), 0.3, 0.1)
    for _ in range(50):
        matrix = draw_warp(rng, limits).matrix
        scales = np.linalg.norm(matrix, axis=0)
        assert np.linalg.det(matrix) > 0
        assert (np.abs(np.log2(scales)) <= 0.4 + 1e-9).all()
        angle = np.degrees(np.arccos(np.clip(np.diag(matrix / scales), -1, 1)))
        assert (angle <= 16).all()
    assert np.array_equal(draw_warp(rng, WarpRange((0.0, 0.0, 0.0), 0.0, 0.0)).matrix, np.eye(3))
