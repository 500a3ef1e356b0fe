"""What the page knows of a scan: its labels' names, colours, volumes, and a place inside each to jump to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.organs import label_colour
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.measures import OrganMeasure, measure_organs
from flare_trt.engine.scans.nifti import read_ct, read_labels
from flare_trt.kernels import Box


@dataclass(frozen=True)
class SceneOrgan:
    """One label. `place_ras_mm` is the labelled voxel nearest to the organ's centre, None where nothing is labelled."""

    value: int
    name: str
    colour: str
    volume_ml: float
    place_ras_mm: Vector | None


@dataclass(frozen=True)
class Scene:
    """Everything that the page shows beside the two files."""

    ct: str
    labels: str
    organs: tuple[SceneOrgan, ...]


def read_scene(ct_path: Path, labels_path: Path, known: Sequence[LabelSpec]) -> Scene:
    """Read both files whole, so that a bad one is refused here. Raises InputError, also where they do not lie on one grid."""
    ct, labels = read_ct(ct_path), read_labels(labels_path)
    if not labels.grid.same_place(ct.grid):
        raise InputError(
            f"{labels_path}: the labels lie on another grid ({labels.grid.told}) than the scan {ct_path.name} "
            f"({ct.grid.told}); name the scan that they were made from"
        )
    specs = named(np.unique(labels.array).tolist(), known)
    measured = measure_organs(ct, labels, {spec.value: spec.name for spec in specs})
    organs = (
        SceneOrgan(spec.value, spec.name, spec.colour, organ.volume_ml, _place_ras_mm(labels, organ))
        for spec, organ in zip(specs, measured, strict=True)
    )
    return Scene(ct_path.name, labels_path.name, tuple(organs))


def named(values: Sequence[int], known: Sequence[LabelSpec]) -> tuple[LabelSpec, ...]:
    """The known labels, and one for each further value but 0, called by its number."""
    unknown = sorted({*values} - {0} - {label.value for label in known})
    return (*known, *(LabelSpec(value, f"label {value}", label_colour(value, "")) for value in unknown))


def _place_ras_mm(labels: Volume, organ: OrganMeasure) -> Vector | None:
    if organ.start_zyx is None or organ.stop_zyx is None:
        return None
    box = Box(organ.start_zyx, organ.stop_zyx)
    inside = np.argwhere(labels.array[box.slices] == organ.value)
    away_mm = np.linalg.norm((inside - inside.mean(axis=0)) * labels.grid.spacing_mm, axis=1)
    z, y, x = (int(step) + start for step, start in zip(inside[away_mm.argmin()], box.start_zyx, strict=True))
    left, posterior, superior = labels.grid.cropped(Box((z, y, x), (z + 1, y + 1, x + 1))).origin_mm
    return -left, -posterior, superior
