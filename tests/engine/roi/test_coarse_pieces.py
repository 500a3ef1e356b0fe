"""Noise in the coarse labels, thousands of pieces of it, is sorted as pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flare_trt.engine.base.organs import ANCHOR_ORGANS, DEFAULT_REACH_MM, reach_mm
from flare_trt.engine.model.spec import FLARE_LABELS
from flare_trt.engine.roi.coarse_pieces import Piece, find_pieces, keep_abdomen, keep_known
from flare_trt.kernels import load

NAMES = {label.value: label.name for label in FLARE_LABELS}
MM = (12.0, 10.0, 11.0)


def planted(seed: int) -> list[Piece]:
    """Pieces of noise: blobs of 1 to 24 voxels of any organ in a body of 1.4 m, most of them low."""
    rng, labels = np.random.default_rng(seed), np.zeros((120, 37, 41), np.uint8)
    for _ in range(90):
        z = int(rng.integers(0, 40) if rng.random() < 0.6 else rng.integers(0, 117))
        y, x = int(rng.integers(0, 35)), int(rng.integers(0, 39))
        size = rng.integers(1, (4, 3, 5))
        labels[z : z + size[0], y : y + size[1], x : x + size[2]] = rng.integers(1, 14)
    return find_pieces(labels, load("reference").components(labels), NAMES, MM)


def gap_mm(one: Piece, other: Piece) -> float:
    sides = zip(one.box.start_zyx, one.box.stop_zyx, other.box.start_zyx, other.box.stop_zyx, MM, strict=True)
    return math.hypot(*(max(0, c - b, a - d) * mm for a, b, c, d, mm in sides))


def pair_by_pair(large: list[Piece]) -> tuple[list[Piece], list[float]]:
    """What is kept, and the distances of what is not."""
    anchors = [piece for piece in large if piece.name in ANCHOR_ORGANS]
    groups = [[piece for piece in anchors if gap_mm(seed, piece) <= DEFAULT_REACH_MM] for seed in anchors]
    cluster = max(groups, key=lambda group: (len({p.label for p in group}), sum(p.voxels for p in group)))
    kept, strays = list[Piece](), list[float]()
    for piece in large:
        mine = [other for other in kept if other.label == piece.label]
        distance = min(gap_mm(piece, other) for other in [*cluster, *mine])
        if distance <= (DEFAULT_REACH_MM if mine else reach_mm(piece.name)):
            kept.append(piece)
        else:
            strays.append(round(distance, 1))
    return kept, strays


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_is_sorted_as_pair_by_pair(seed: int) -> None:
    pieces = planted(seed)
    found = keep_abdomen(pieces, MM)
    assert found.specks == 0, "every voxel is more than a millilitre, so every piece counts"
    kept, strays = pair_by_pair(pieces)
    assert list(found.kept) == kept
    assert [stray.distance_mm for stray in found.strays] == strays
    assert len(kept) > 20
    assert len(strays) > 3


def test_a_piece_is_told_by_its_own_voxels() -> None:
    labels = np.zeros((5, 7, 9), np.uint8)
    labels[0, :, :], labels[0, 3, 4], labels[3, 1:3, 2:6] = 3, 9, 7
    pieces = find_pieces(labels, load("reference").components(labels), NAMES, MM)
    assert [(piece.label, piece.voxels, piece.box.stop_zyx) for piece in pieces] == [
        *((3, 62, (1, 7, 9)), (7, 8, (4, 3, 6)), (9, 1, (1, 4, 5))),
    ]


def test_no_pieces_are_nothing() -> None:
    found = keep_abdomen([], MM)
    assert (found.kept, found.strays, found.specks) == ((), (), 0)


def test_where_no_solid_organ_is_known_every_piece_counts() -> None:
    """Metastases are small and far apart: as specks and strays the fine network would never see them."""
    labels = np.zeros((120, 9, 11), np.uint8)
    labels[1, 2, 3], labels[100:108, 2:6, 3:7] = 1, 2
    fine_mm = (3.0, 2.0, 2.0)
    pieces = find_pieces(labels, load("reference").components(labels), {1: "metastasis", 2: "spleen"}, fine_mm)
    assert len(keep_known(pieces, ["metastasis", "spleen"], fine_mm).kept) == 1
    found = keep_known(pieces, ["metastasis", "bone"], fine_mm)
    assert (found.kept, found.strays, found.specks) == (tuple(pieces), (), 0)
