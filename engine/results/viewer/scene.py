"""What the page knows of a scan: its labels' names, colours, volumes and HU, a place inside each to jump to, and their surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Vector
from flare_trt.engine.base.organs import label_colour
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS, LabelSpec, ModelSpec
from flare_trt.engine.results.measures import OrganMeasure, measure_organs
from flare_trt.engine.results.viewer.surfaces import organ_surface
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.label_source import on_grid
from flare_trt.kernels import Box

#: Labels of one map that the page shows: it numbers them in one byte (static/viewer.js, renumber).
MOST_SHOWN = 255


@dataclass(frozen=True)
class SceneOrgan:
    """One label. `place_ras_mm` is the labelled voxel nearest to the organ's centre, None where nothing is labelled, as `mean_hu`.

    `looked_for`: whether the model can give it; one that cannot has not found nothing. `surface` is how many vertices and triangles
    the organ has among the scene's surfaces.
    """

    value: int
    name: str
    colour: str
    volume_ml: float
    place_ras_mm: Vector | None
    looked_for: bool = True
    mean_hu: float | None = None
    surface: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Scene:
    """Everything that the page shows beside the two files."""

    ct: str
    labels: str
    organs: tuple[SceneOrgan, ...]
    #: Of each organ that has one, in the organs' order, one after the other (surfaces.Surface.as_bytes).
    surfaces: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """Everything but the surfaces, for json.dumps."""
        return {"ct": self.ct, "labels": self.labels, "organs": [asdict(organ) for organ in self.organs]}


def read_scene(ct_path: Path, labels_path: Path, model: ModelSpec | None = None, own: Sequence[LabelSpec] = FLARE_LABELS) -> Scene:
    """Read both files whole, so that a bad one is refused here. Raises InputError, also where they do not lie on one grid.

    Labels may be stored along other axes and ways than the scan. With the `model` that they come from, all of its classes are
    listed; without it those in the map, under the names that `own` has, for nobody can tell what else was looked for.
    """
    ct, stored = read_ct(ct_path), read_labels(labels_path)
    return make_scene(ct, on_grid(labels_path, stored, ct.grid), (ct_path.name, labels_path.name), model, own)


def make_scene(
    ct: Volume, labels: Volume, names: tuple[str, str], model: ModelSpec | None = None, own: Sequence[LabelSpec] = FLARE_LABELS
) -> Scene:
    """The scene of a scan and its labels on the scan's grid, which the page calls by these `names`; the rest as in `read_scene`."""
    values = np.unique(labels.array).tolist()
    if len(set(values) - {0}) > MOST_SHOWN:
        raise InputError(f"{names[1]}: got {len(values)} different labels, expected at most {MOST_SHOWN} in a map that is shown")
    known = [label for label in own if label.value in values] if model is None else model.labels
    specs = named(values, known)
    measured = measure_organs(ct, labels, {spec.value: spec.name for spec in specs})
    looked_for = {spec.value for spec in specs} if model is None else {*model.looked_for, *values}
    surfaces = [organ_surface(labels, organ) for organ in measured]
    organs = (
        SceneOrgan(
            spec.value,
            spec.name,
            spec.colour,
            organ.volume_ml,
            _place_ras_mm(labels, organ),
            spec.value in looked_for,
            organ.mean_hu,
            (0, 0) if surface is None else (len(surface.vertices_mm), len(surface.triangles)),
        )
        for spec, organ, surface in zip(specs, measured, surfaces, strict=True)
    )
    drawn = b"".join(surface.as_bytes() for surface in surfaces if surface is not None)
    return Scene(*names, tuple(organs), drawn)


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
