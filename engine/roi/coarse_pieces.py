"""Connected pieces of coarse labels, and which of them belong to the patient's abdomen.

The paper takes the box of all coarse foreground and says itself what that costs: stray voxels blow it up (section 4.3,
case 0063). Here each organ's pieces are judged: specks and far strays go, and the report lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.organs import ANCHOR_ORGANS, DEFAULT_REACH_MM, canonical, reach_mm
from flare_trt.engine.base.pieces import piece_cuts
from flare_trt.engine.base.run_report import DroppedComponent
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


@dataclass(frozen=True)
class PieceTable:
    """Labels, volumes and boxes of pieces as arrays, row by row: noise leaves thousands, and each is compared with the others."""

    labels: NDArray[np.int64]
    volumes_ml: NDArray[np.float64]
    starts_zyx: NDArray[np.int64]
    stops_zyx: NDArray[np.int64]
    spacing_mm: Vector

    @classmethod
    def of(cls, pieces: Sequence[Piece], spacing_mm: Vector) -> PieceTable:
        """The table of some pieces."""
        labels = np.array([piece.label for piece in pieces], np.int64)
        volumes = np.array([piece.volume_ml for piece in pieces], float)
        starts = np.array([piece.box.start_zyx for piece in pieces], np.int64).reshape(-1, 3)
        stops = np.array([piece.box.stop_zyx for piece in pieces], np.int64).reshape(-1, 3)
        return cls(labels, volumes, starts, stops, spacing_mm)

    def gaps_mm(self, row: int, others: NDArray[np.intp]) -> NDArray[np.float64]:
        """Gaps between the box of one row and those of others; 0 where they meet."""
        after, before = self.starts_zyx[others] - self.stops_zyx[row], self.starts_zyx[row] - self.stops_zyx[others]
        gaps = np.maximum(np.maximum(after, before), 0) * np.array(self.spacing_mm)
        result: NDArray[np.float64] = np.sqrt((gaps**2).sum(1))
        return result


def find_pieces(labels: NDArray[Any], components: NDArray[np.int32], names: dict[int, str], spacing_mm: Vector) -> list[Piece]:
    """All pieces, largest first. `components` numbers them 1..n as the kernels' `components` does."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    sizes = np.bincount(components.ravel())
    label_of = np.zeros(sizes.size, labels.dtype)
    label_of[components] = labels  # each piece lies in one label, so any of its voxels tells which
    found = []
    for number, cut in enumerate(piece_cuts(components), start=1):
        label, voxels = int(label_of[number]), int(sizes[number])
        found.append(Piece(label, names.get(label, str(label)), voxels, voxels * voxel_ml, Box.cut_by(cut)))
    return sorted(found, key=lambda piece: -piece.voxels)


@dataclass(frozen=True)
class Sorted:
    """Pieces of the abdomen, strays with the reason why they went, and how many specks there were."""

    kept: tuple[Piece, ...]
    strays: tuple[DroppedComponent, ...]
    specks: int


def keep_known(pieces: list[Piece], names: Collection[str], spacing_mm: Vector) -> Sorted:
    """Those of the abdomen, where the network's labels have a solid organ among them; else all, as in the paper.

    Of other anatomy nothing here says what is too small or too far away: a lesion may be both.
    """
    if any(canonical(name) in ANCHOR_ORGANS for name in names):
        return keep_abdomen(pieces, spacing_mm)
    return Sorted(tuple(pieces), (), 0)


def keep_abdomen(pieces: list[Piece], spacing_mm: Vector) -> Sorted:
    """Sort pieces into those of the abdomen, strays and specks."""
    large = _without_specks(pieces)
    table = PieceTable.of(large, spacing_mm)
    cluster = _anchor_cluster(large, table)
    near: dict[int, NDArray[np.intp]] = {}  # of a label that was seen: the cluster and what was kept of the label
    kept: list[Piece] = []
    strays: list[DroppedComponent] = []
    for row, piece in enumerate(large):  # the largest piece of each organ comes before its others
        others = near.get(piece.label, cluster)
        limit = DEFAULT_REACH_MM if piece.label in near else reach_mm(piece.name)
        distance = float(table.gaps_mm(row, others).min())
        if distance <= limit:
            kept.append(piece)
            near[piece.label] = np.append(others, row)
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


def _anchor_cluster(pieces: list[Piece], table: PieceTable) -> NDArray[np.intp]:
    """Rows of the solid-organ pieces within reach of one another that show most organs, the heaviest of equals.

    A stray may be larger than any true organ, but it comes alone. All pieces stand in where no solid organ is seen.
    """
    solid = [row for row, piece in enumerate(pieces) if canonical(piece.name) in ANCHOR_ORGANS]
    anchors = np.array(solid or range(len(pieces)), np.intp)
    best, cluster = (0, 0.0), anchors
    for seed in anchors.tolist():
        group = anchors[table.gaps_mm(seed, anchors) <= DEFAULT_REACH_MM]
        worth = (int(np.count_nonzero(np.bincount(table.labels[group]))), float(table.volumes_ml[group].sum()))
        if worth > best:
            best, cluster = worth, group
    return cluster
