"""Labels of any origin on a scan's grid: image files with names from a bundle or a table, DICOM-SEG with its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.label_types import MOST_LABEL, label_dtype, value_count
from flare_trt.engine.base.organs import ORGANS, STRUCTURES, canonical
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.dicom.seg_reader import read_segmentation
from flare_trt.engine.scans.image_files import read_labels

#: FLARE's labels: what an unnamed label map is taken for, its tumours only where there are any.
FLARE_NAMES: dict[int, str] = {structure.value: structure.name for structure in STRUCTURES}
_NEAR_VOXEL = 0.01


@dataclass(frozen=True)
class NamedLabels:
    """Labels and the name of each value that may be in them."""

    volume: Volume
    names: Mapping[int, str]


def read_named_labels(path: Path, names: Mapping[int, str] | None, grid: Grid) -> NamedLabels:
    """Read a label file onto the grid of its scan. `names` None: FLARE's for image files. A DICOM-SEG has its own; where all
    of them are in `names`, they get its values.

    Raises InputError for labels on another grid, and for values that have no name.
    """
    if path.suffix.lower() == ".dcm":
        volume, own = read_segmentation(path)
        return _renumbered(NamedLabels(on_grid(path, volume, grid), own), names or {})
    volume = on_grid(path, read_labels(path), grid)
    values = np.unique(volume.array).tolist()
    # nobody can tell from a map without tumours whether its maker looked for them
    known = {value: name for value, name in FLARE_NAMES.items() if value in (*ORGANS, *values)} if names is None else names
    unnamed = sorted({*values} - {0, *known})
    if unnamed:
        raise InputError(
            f"{path}: got the label values {', '.join(map(str, unnamed))}, which have no name; name them with --labels (a bundle, "
            "a dataset.json, or a JSON file of {value: name})"
        )
    return NamedLabels(volume, known)


def _renumbered(labels: NamedLabels, names: Mapping[int, str]) -> NamedLabels:
    """Segments under the values that `names` has for theirs, where it has all of them; else as they are numbered."""
    values = {canonical(name): value for value, name in names.items()}
    if not all(canonical(name) in values for name in labels.names.values()):
        return labels
    table = np.zeros(value_count(labels.volume.array.dtype), label_dtype(values.values()))
    for number, name in labels.names.items():
        table[number] = values[canonical(name)]
    return NamedLabels(Volume(table[labels.volume.array], labels.volume.grid), names)


def read_names(path: Path) -> dict[int, str]:
    """Value -> name from JSON: {"1": "liver"}, {"liver": 1}, or an nnU-Net dataset.json. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        table = content.get("labels", content)
        pairs = [(int(key), value) if str(key).isdecimal() else (int(value), key) for key, value in table.items()]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: got no table of labels, expected JSON of value and name ({type(error).__name__})") from error
    names = {value: str(name) for value, name in pairs if value != 0}
    if not names or max(names) > MOST_LABEL or min(names) < 0 or len(names) < len([pair for pair in pairs if pair[0] != 0]):
        raise InputError(f"{path}: expected label values from 1 to {MOST_LABEL}, each once, with a name")
    return names


def on_grid(path: Path, labels: Volume, grid: Grid) -> Volume:
    """Labels as they lie on a grid: the same voxels, stored in any order of axes, or a part of them. Raises InputError else."""
    if labels.grid.same_place(grid):
        return Volume(labels.array, grid)
    to_grid = _affine(grid)
    matrix = np.linalg.inv(to_grid) @ _affine(labels.grid)  # from index (x, y, z) of the labels to that of the grid
    turn, shift = np.rint(matrix[:3, :3]), np.rint(matrix[:3, 3])
    reach = max(labels.grid.shape_zyx)
    off = max(np.abs(matrix[:3, :3] - turn).max() * reach, np.abs(matrix[:3, 3] - shift).max())
    if off > _NEAR_VOXEL or abs(round(float(np.linalg.det(turn)))) != 1:
        raise InputError(
            f"{path}: the labels lie on another grid ({labels.grid.told}) than the scan ({grid.told}); name the scan that they "
            "were made from"
        )
    return Volume(_placed(path, labels.array, turn.astype(int)[::-1, ::-1], shift.astype(int)[::-1], grid), grid)


def _placed(path: Path, array: NDArray[Any], turn: NDArray[np.int_], shift: NDArray[np.int_], grid: Grid) -> NDArray[Any]:
    """The array turned and put at its place; `turn` and `shift` are in (z, y, x) order."""
    axes = np.abs(turn).argmax(axis=1)
    turned = array.transpose(axes)
    start = shift.copy()
    for axis, source in enumerate(axes):
        if turn[axis, source] < 0:
            turned = np.flip(turned, axis)
            start[axis] -= array.shape[source] - 1
    stop = start + turned.shape
    if start.min() < 0 or (stop > grid.shape_zyx).any():
        raise InputError(f"{path}: the labels reach beyond the scan ({grid.told}); name the scan that they were made from")
    placed = np.zeros(grid.shape_zyx, array.dtype)
    placed[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = turned
    return placed


def _affine(grid: Grid) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(grid.direction) * grid.spacing_mm[::-1]
    affine[:3, 3] = grid.origin_mm
    return affine
