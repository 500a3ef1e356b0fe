"""Connected pieces of coarse labels, and which of them belong to the patient's abdomen.

The paper takes the box of all coarse foreground and says itself what that costs: stray voxels blow it up (section 4.3,
case 0063). Here each organ's pieces are judged: specks and far strays go, and the report lists them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.anatomy import ANCHOR_ORGANS, DEFAULT_REACH_MM, canonical, reach_mm
from flare_trt.engine.grid import Vector
from flare_trt.engine.report import DroppedComponent
from flare_trt.kernels import Box

#: A piece under this volume, or under this share of its organ's largest piece, is a speck.
SPECK_ML = 1.0
SPECK_SHARE = 0.02
#: An organ's largest piece may be smaller: adrenal glands are.
SPECK_ALONE_ML = 0.25


@dataclass(frozen=True)
class Piece:
    """One connected piece of one label, in voxels of the coarse grid."""

    label: int
    name: str
    voxels: int
    volume_ml: float
    box: Box

    def distance_mm(self, others: Iterable[Piece], spacing_mm: Vector) -> float:
        """Shortest gap between this piece's box and the boxes of others; 0 where they meet."""
        return min((_gap_mm(self.box, other.box, spacing_mm) for other in others), default=float("inf"))


def find_pieces(labels: NDArray[np.uint8], components: NDArray[np.int32], names: dict[int, str], spacing_mm: Vector) -> list[Piece]:
    """All pieces, largest first. `components` numbers them 1..n as the kernels' `components` does."""
    from scipy import ndimage

    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    sizes = np.bincount(components.ravel())
    found = []
    for number, cut in enumerate(ndimage.find_objects(components), start=1):
        if cut is None:
            continue
        z, y, x = cut
        inside = components[cut] == number
        label = int(labels[cut][inside][0])
        box = Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
        found.append(Piece(label, names.get(label, str(label)), int(sizes[number]), float(sizes[number]) * voxel_ml, box))
    return sorted(found, key=lambda piece: -piece.voxels)


@dataclass(frozen=True)
class Sorted:
    """Pieces of the abdomen, strays with the reason why they went, and how many specks there were."""

    kept: tuple[Piece, ...]
    strays: tuple[DroppedComponent, ...]
    specks: int


def keep_abdomen(pieces: list[Piece], spacing_mm: Vector) -> Sorted:
    """Sort pieces into those of the abdomen, strays and specks."""
    large = _without_specks(pieces)
    cluster = _anchor_cluster(large, spacing_mm)
    kept: list[Piece] = []
    strays: list[DroppedComponent] = []
    for piece in large:  # the largest piece of each organ comes before its others
        mine = [other for other in kept if other.label == piece.label]
        limit = DEFAULT_REACH_MM if mine else reach_mm(piece.name)
        distance = piece.distance_mm([*cluster, *mine], spacing_mm)
        if distance <= limit:
            kept.append(piece)
        else:
            reason = f"farther than {limit:g} mm from the abdomen's solid organs"
            strays.append(DroppedComponent(piece.name, round(piece.volume_ml, 2), round(distance, 1), reason))
    return Sorted(tuple(kept), tuple(strays), len(pieces) - len(large))


def _without_specks(pieces: list[Piece]) -> list[Piece]:
    largest: dict[int, float] = {}
    for piece in pieces:
        largest[piece.label] = max(largest.get(piece.label, 0.0), piece.volume_ml)
    large = []
    for piece in pieces:
        alone = piece.volume_ml == largest[piece.label]
        least = SPECK_ALONE_ML if alone else max(SPECK_ML, SPECK_SHARE * largest[piece.label])
        if piece.volume_ml >= least:
            large.append(piece)
    return large


def _anchor_cluster(pieces: list[Piece], spacing_mm: Vector) -> list[Piece]:
    """The solid-organ pieces within reach of one another that show most organs, the heaviest of equals.

    A stray may be larger than any true organ, but it comes alone. All pieces stand in where no solid organ is seen.
    """
    anchors = [piece for piece in pieces if canonical(piece.name) in ANCHOR_ORGANS] or pieces
    groups = [[p for p in anchors if p.distance_mm([seed], spacing_mm) <= DEFAULT_REACH_MM] for seed in anchors]
    return max(groups, key=lambda group: (len({p.label for p in group}), sum(p.volume_ml for p in group)), default=[])


def _gap_mm(a: Box, b: Box, spacing_mm: Vector) -> float:
    gaps = []
    for low_a, high_a, low_b, high_b, mm in zip(a.start_zyx, a.stop_zyx, b.start_zyx, b.stop_zyx, spacing_mm, strict=True):
        gaps.append(max(0, low_b - high_a, low_a - high_b) * mm)
    return float(np.linalg.norm(gaps))
