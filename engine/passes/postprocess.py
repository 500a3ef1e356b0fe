"""After the network: small and far pieces are removed by the bundle's rules, on the device that holds the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.run_report import RemovedPieces
from flare_trt.engine.model.afterwards_spec import ComponentRule
from flare_trt.kernels import Box, Kernels
from flare_trt.kernels.contract import Array


def remove_pieces(
    labels: Array, rules: Sequence[ComponentRule], names: dict[int, str], spacing_mm: Vector, kernels: Kernels
) -> tuple[RemovedPieces, ...]:
    """Apply rules, in order, to (z, y, x) labels, in place; what went, a row a rule that removed something."""
    removed = []
    for rule in rules:
        pieces, voxels = _apply(labels, rule, spacing_mm, kernels)
        if pieces:
            volume_ml = round(voxels * float(np.prod(spacing_mm)) / 1000, 3)
            removed.append(RemovedPieces(", ".join(names.get(label, str(label)) for label in rule.labels), pieces, volume_ml))
    return tuple(removed)


def _apply(labels: Array, rule: ComponentRule, spacing_mm: Vector, kernels: Kernels) -> tuple[int, int]:
    """Pieces and voxels that the rule removed."""
    # another orientation's labels are a strided view
    rows = kernels.bounds(kernels.upload(labels), count := value_count(labels.dtype))[list(rule.labels)]
    rows = rows[rows[:, 6] > 0]
    if not len(rows):
        return 0, 0
    (z0, y0, x0), (z1, y1, x1) = rows[:, :3].min(0).tolist(), rows[:, 3:6].max(0).tolist()
    box = Box((z0, y0, x0), (z1, y1, x1)).slices
    inside = kernels.upload(labels[box])  # contiguous, as the kernels ask; a copy unless the box is the whole scan
    chosen = np.isin(np.arange(count), rule.labels)
    components = kernels.components(kernels.select_labels(inside, chosen))
    table = kernels.piece_bounds(components)
    kept = _kept(table, rule, spacing_mm)
    if kept.all():
        return 0, 0
    kernels.keep_pieces(inside, components, kept)
    labels[box] = inside
    return int((~kept).sum()), int(table[~kept, 6].sum())


def _kept(table: NDArray[np.int64], rule: ComponentRule, spacing_mm: Vector) -> NDArray[np.bool_]:
    """Which pieces stay; row 0 is no piece and stays."""
    voxels, largest = table[:, 6], int(table[:, 6].max())
    kept = voxels == largest if rule.keep_largest else np.ones(len(table), bool)
    kept &= voxels * float(np.prod(spacing_mm)) / 1000 >= rule.least_ml
    if rule.farthest_mm is not None:
        main = table[int(voxels.argmax())]
        apart = np.maximum(np.maximum(table[:, :3] - main[3:6], main[:3] - table[:, 3:6]), 0) * np.array(spacing_mm)
        kept &= np.sqrt((apart**2).sum(1)) <= rule.farthest_mm
    kept[0] = True
    return kept
