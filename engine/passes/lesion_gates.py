"""False alarms: pieces of a tumour label that are too small, unsure, too odd in HU or shape, or too far from any organ.

A gate on shape and size took a FLARE26 entry from false tumours in every healthy scan to one in twelve (PANTHER).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Shape, Vector
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.engine.base.run_report import GatedLesion, KeptLesion
from flare_trt.engine.model.afterwards_spec import LesionGates
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array

#: Surroundings of a piece that tell its organ, mm.
BESIDE_MM = 4.0


@dataclass(frozen=True)
class Gating:
    """The pieces that a gate stopped; and the others, where it is known how sure the network was."""

    stopped: tuple[GatedLesion, ...] = ()
    kept: tuple[KeptLesion, ...] = ()


@dataclass(frozen=True)
class Scene:
    """A box of the scan on the host: HU and labels (z, y, x), where tumour is surest (None: unknown), and where the box begins.

    `medians` are the organs' median HU.
    """

    hu: NDArray[Any]
    labels: NDArray[Any]
    strong: NDArray[np.bool_] | None
    start_zyx: Shape
    spacing_mm: Vector
    medians: dict[int, float]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return math.prod(self.spacing_mm) / 1000

    def cut(self, box: Box) -> Scene:
        """A part of it; `box` counts from its first voxel."""
        z, y, x = (a + b for a, b in zip(self.start_zyx, box.start_zyx, strict=True))
        strong = None if self.strong is None else self.strong[box.slices]
        return replace(self, hu=self.hu[box.slices], labels=self.labels[box.slices], strong=strong, start_zyx=(z, y, x))


def gate_lesions(
    ct: Array, labels: Array, gates: LesionGates, strong: int | None, named: tuple[dict[int, str], Vector], kernels: Kernels
) -> Gating:
    """Relabel the pieces that a gate stops, in place, in uint8 (z, y, x) labels; `named` are the labels' names and the spacing, mm.

    `strong` is the value of the surest voxels, which become the gates' label. The box of tumours and `farthest_mm` around it (at
    most 60 mm) is looked at on the host.
    """
    names, spacing_mm = named
    reach = [math.ceil(min(max(gates.farthest_mm, BESIDE_MM), 60.0) / mm) + 1 for mm in spacing_mm]
    box = _box_of_tumours(labels, [gates.label] if strong is None else [gates.label, strong], reach, kernels)
    if box is None:
        return Gating()
    found = np.array(kernels.download(labels[box.slices]))
    surest = None if strong is None else found == strong
    found[found == strong] = gates.label
    hu = kernels.download(ct[box.slices])
    scene = Scene(hu, found, surest, box.start_zyx, spacing_mm, _medians(hu, found, gates.label))
    stopped, kept = list[GatedLesion](), list[KeptLesion]()
    numbers, _ = label_pieces(scene.labels == gates.label)
    for number, cut in enumerate(piece_cuts(numbers), start=1):
        wide = _widened(Box.cut_by(cut), reach, box.shape_zyx)
        piece, part = numbers[wide.slices] == number, scene.cut(wide)
        lesion, organ = _judged(part, piece, gates)
        if lesion is not None:
            part.labels[piece] = organ
            stopped.append(replace(lesion, organ=names.get(organ, "")))
        elif part.strong is not None:
            place = Box.cut_by(cut).shifted(box.start_zyx)
            kept.append(KeptLesion(place.start_zyx, place.stop_zyx, round(float(part.strong[piece].mean()), 3)))
    if stopped or strong is not None:
        labels[box.slices] = kernels.upload(scene.labels)
    return Gating(tuple(stopped), tuple(kept))


def _medians(hu: NDArray[Any], labels: NDArray[Any], tumour: int) -> dict[int, float]:
    return {int(v): float(np.median(hu[labels == v])) for v in np.unique(labels) if v not in (0, tumour)}


def _box_of_tumours(labels: Array, values: list[int], reach: Sequence[int], kernels: Kernels) -> Box | None:
    """What the gates look at, none where there is no tumour."""
    rows = kernels.bounds(kernels.upload(labels), value_count(labels.dtype))[values]
    rows = rows[rows[:, -1] > 0]
    if not len(rows):
        return None
    low, high = rows[:, :3].min(0).tolist(), rows[:, 3:6].max(0).tolist()
    return _widened(Box.spanning(zip(low, high, strict=True)), reach, labels.shape)


def _widened(box: Box, reach: Sequence[int], shape_zyx: Shape) -> Box:
    return Box.spanning((low - more, high + more) for (low, high), more in zip(box.ranges, reach, strict=True)).clipped(shape_zyx)


def _judged(scene: Scene, piece: NDArray[np.bool_], gates: LesionGates) -> tuple[GatedLesion | None, int]:
    """A piece with the gate that stops it, none where it is a lesion; and the label of most that lies around it."""
    from scipy import ndimage

    volume_ml = float(np.count_nonzero(piece)) * scene.voxel_ml
    away_mm = ndimage.distance_transform_edt(~piece, scene.spacing_mm)
    organs = np.isin(scene.labels, list(scene.medians))
    around = np.bincount(scene.labels[(away_mm > 0) & (away_mm <= BESIDE_MM)], minlength=256)
    around[gates.label] = 0  # another piece
    beside = around[1:].sum() / max(1, around.sum())
    organ = int(around[1:].argmax()) + 1 if beside else 0
    mean_hu = float(scene.hu[piece].mean())
    nearest_mm = float(away_mm[organs].min()) if organs.any() else math.inf
    (cut,) = piece_cuts(piece.astype(np.int32))
    gate = (
        "volume"
        if volume_ml < gates.least_ml
        else "certainty"
        if scene.strong is not None and np.count_nonzero(scene.strong[piece]) * scene.voxel_ml < gates.least_strong_ml
        else "hu"
        if _odd(mean_hu, scene.medians.get(organ, 0.0), gates)
        else "shape"
        if volume_ml < gates.least_filled * _ball_ml(cut, scene.spacing_mm)
        else "position"
        if nearest_mm > gates.farthest_mm or beside < gates.least_beside
        else None
    )
    label = int(around.argmax())
    if gate is None:
        return None, label
    z, y, x = (start + (part.start + part.stop) // 2 for start, part in zip(scene.start_zyx, cut, strict=True))
    return GatedLesion(gate, round(volume_ml, 3), "", round(mean_hu, 2), (z, y, x)), label


def _odd(mean_hu: float, organ_hu: float, gates: LesionGates) -> bool:
    """Whether a piece is too dark or too bright, by itself or beside its organ."""
    ranges = ((mean_hu, gates.mean_hu), (mean_hu - organ_hu, gates.over_organ_hu))
    return not all(low <= value <= high for value, (low, high) in ranges)


def _ball_ml(cut: Sequence[slice], spacing_mm: Vector) -> float:
    """Volume of the ball across the longest side of a box."""
    longest_mm = max((part.stop - part.start) * mm for part, mm in zip(cut, spacing_mm, strict=True))
    return math.pi / 6000 * float(longest_mm) ** 3
