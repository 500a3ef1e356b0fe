"""What a bundle finds of lesions that were planted in scans its branch never learned from, measured with the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter
from flare_trt.training.distil.scans import read_upright_ct
from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats
from flare_trt.training.tumours.held_out import LesionScore, plant_large, score_lesions, whole_scene
from flare_trt.training.tumours.partial import lesions_not_asked_for
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import Scene

#: Plantings of a scan and lesions of each, beside the scan as it is.
PLANTINGS, LESIONS = 4, 6


@dataclass(frozen=True)
class LesionFigure:
    """One scan: as it is (`planting` 0), or with lesions of over 10 mm."""

    scan: str
    planting: int
    score: LesionScore


def measure_lesions(bundle: Path, cts: Sequence[Path], spacing_mm: Vector, threads: int) -> list[LesionFigure]:
    """Segment CTs, each once as it is and PLANTINGS times with lesions planted in the organs that the bundle itself finds there.

    Lesions that the training does not ask for (partial.py) count neither way.
    """
    figures = []
    with Segmenter.open(bundle, RunOptions(mode="exact", device="cpu", threads=threads)) as segmenter:
        voxel_ml = float(np.prod(spacing_mm)) / 1000
        for ct in cts:
            hu, organs = _at_spacing(segmenter, read_upright_ct(ct), spacing_mm)
            for planting, scene in enumerate(_scenes(hu, organs, spacing_mm)):
                volume = _volume(scene)
                found = segmenter.segment(volume).labels.array == TUMOUR
                asked = ~lesions_not_asked_for(volume.array, scene.labels, scene.lesions)
                score = score_lesions(found & asked, (scene.labels == TUMOUR) & asked, voxel_ml)
                figures.append(LesionFigure(ct.parent.name, planting, score))
    return figures


def _scenes(hu: Floats, organs: NDArray[np.uint8], spacing_mm: Vector) -> Iterator[Scene]:
    for planting in range(PLANTINGS + 1):
        scene = whole_scene(hu, organs, spacing_mm)
        if planting:
            plant_large(scene, planting, LESIONS)
        yield scene


def _at_spacing(segmenter: Segmenter, ct: Volume, spacing_mm: Vector) -> tuple[Floats, NDArray[np.uint8]]:
    """HU and organs, tumours left out, at a spacing."""
    from scipy import ndimage

    labels = segmenter.segment(ct).labels.array
    organs = np.where(labels == TUMOUR, 0, labels).astype(np.uint8)
    zoom = [mm / wanted for mm, wanted in zip(ct.grid.spacing_mm, spacing_mm, strict=True)]
    hu: Floats = ndimage.zoom(np.asarray(ct.array, np.float32), zoom, order=1, grid_mode=True, mode="nearest")
    return hu, ndimage.zoom(organs, zoom, order=0, grid_mode=True, mode="nearest")


def _volume(scene: Scene) -> Volume:
    return Volume(np.rint(scene.hu).astype(np.int16), Grid(scene.shape, scene.spacing_mm))
