"""False alarms: pieces of a tumour label that are too small, too odd in HU or shape, or too far from any organ.

A gate on shape and size took a FLARE26 entry from false tumours in every healthy scan to one in twelve (PANTHER).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.engine.base.run_report import GatedLesion
from flare_trt.engine.model.afterwards_spec import LesionGates
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array

#: Surroundings of a piece that tell its organ, mm.
BESIDE_MM = 4.0


@dataclass(frozen=True)
class Scene:
    """A box of the scan on the host: HU and labels (z, y, x), and where it begins in the scan."""

    hu: NDArray[Any]
    labels: NDArray[Any]
    start_zyx: tuple[int, int, int]
    spacing_mm: Vector


def gate_lesions(
    ct: Array, labels: Array, gates: LesionGates, named: tuple[dict[int, str], Vector], kernels: Kernels
) -> tuple[GatedLesion, ...]:
    """Relabel the pieces that a gate stops, in place, in uint8 (z, y, x) labels; `named` are the labels' names and the spacing, mm.

    The box of tumours and `farthest_mm` around it (at most 60 mm) is looked at on the host.
    """
    names, spacing_mm = named
    *corners, voxels = kernels.bounds(kernels.upload(labels), value_count(labels.dtype))[gates.label].tolist()
    if not voxels:
        return ()
    reach = [math.ceil(min(max(gates.farthest_mm, BESIDE_MM), 60.0) / mm) + 1 for mm in spacing_mm]
    z0, y0, x0 = (max(0, low - more) for low, more in zip(corners[:3], reach, strict=True))
    z1, y1, x1 = (min(size, high + more) for size, high, more in zip(labels.shape, corners[3:], reach, strict=True))
    box = Box((z0, y0, x0), (z1, y1, x1))
    scene = Scene(kernels.download(ct[box.slices]), np.array(kernels.download(labels[box.slices])), box.start_zyx, spacing_mm)
    medians = {int(v): float(np.median(scene.hu[scene.labels == v])) for v in np.unique(scene.labels) if v not in (0, gates.label)}
    stopped = []
    numbers, _ = label_pieces(scene.labels == gates.label)
    for number, cut in enumerate(piece_cuts(numbers), start=1):
        lesion, organ = _judged(scene, numbers == number, Box.cut_by(cut), gates, medians)
        if lesion is not None:
            scene.labels[numbers == number] = organ
            stopped.append((lesion, names.get(organ, "")))
    if stopped:
        labels[box.slices] = kernels.upload(scene.labels)
    return tuple(GatedLesion(found.gate, found.volume_ml, name, found.mean_hu, found.centre_zyx) for found, name in stopped)


def _judged(
    scene: Scene, piece: NDArray[np.bool_], box: Box, gates: LesionGates, medians: dict[int, float]
) -> tuple[GatedLesion | None, int]:
    """The piece with the gate that stops it, none where it is a lesion; and the label of most that lies around it."""
    from scipy import ndimage

    volume_ml = float(np.count_nonzero(piece)) * float(np.prod(scene.spacing_mm)) / 1000
    away_mm = ndimage.distance_transform_edt(~piece, scene.spacing_mm)
    organs = np.isin(scene.labels, list(medians))
    around = np.bincount(scene.labels[(away_mm > 0) & (away_mm <= BESIDE_MM)], minlength=256)
    around[gates.label] = 0  # another piece
    beside = around[1:].sum() / max(1, around.sum())
    organ = int(around[1:].argmax()) + 1 if beside else 0
    mean_hu = float(scene.hu[piece].mean())
    nearest_mm = float(away_mm[organs].min()) if organs.any() else math.inf
    longest_mm = max(size * mm for size, mm in zip(box.shape_zyx, scene.spacing_mm, strict=True))
    filled = volume_ml * 1000 / (math.pi / 6 * longest_mm**3)
    low, high = gates.over_organ_hu
    gate = (
        "volume"
        if volume_ml < gates.least_ml
        else "hu"
        if not low <= mean_hu - medians.get(organ, 0.0) <= high
        else "shape"
        if filled < gates.least_filled
        else "position"
        if nearest_mm > gates.farthest_mm or beside < gates.least_beside
        else None
    )
    label = int(around.argmax())
    if gate is None:
        return None, label
    z, y, x = (start + (a + b) // 2 for start, a, b in zip(scene.start_zyx, box.start_zyx, box.stop_zyx, strict=True))
    return GatedLesion(gate, round(volume_ml, 3), "", round(mean_hu, 2), (z, y, x)), label
