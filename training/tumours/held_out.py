"""Scans that no network learned from, with planted lesions, and their score lesion by lesion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.views import View
from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import Floats
from flare_trt.training.tumours.plant import draw_look, plant_lesion
from flare_trt.training.tumours.recipe import CHANNELS, HOSTS, TUMOUR, Host
from flare_trt.training.tumours.scene import FULL, Scene

#: A lesion is found where so much of it is labelled tumour; a piece of tumour is a false one where none of it is lesion.
FOUND_SHARE = 0.3
#: False pieces below this are specks, ml.
LEAST_FALSE_ML = 0.5


@dataclass(frozen=True)
class LesionScore:
    """Tumour on one scan: Dice over all voxels, lesions planted and found, and false pieces above LEAST_FALSE_ML."""

    dice: float
    lesions: int
    found: int
    false_pieces: int

    @staticmethod
    def mean(scores: Iterable[LesionScore]) -> tuple[float, float, float]:
        """Mean Dice, sensitivity over all lesions, false pieces a scan."""
        every = list(scores)
        lesions = sum(score.lesions for score in every)
        return (
            float(np.mean([score.dice for score in every])),
            sum(score.found for score in every) / max(1, lesions),
            sum(score.false_pieces for score in every) / len(every),
        )


def whole_scene(hu: Floats, labels: NDArray[np.uint8], spacing_mm: Vector) -> Scene:
    """A whole scan as a scene: float32 HU and uint8 organ labels (z, y, x), cut to the organs and 30 mm around them."""
    reach = [round(30 / mm) for mm in spacing_mm]
    places = np.argwhere((labels > 0) & (labels < TUMOUR))
    low, high = places.min(0), places.max(0) + 1
    box = tuple(slice(max(0, int(a) - r), int(b) + r) for a, b, r in zip(low, high, reach, strict=True))
    cut = np.where(labels[box] < TUMOUR, labels[box], np.uint8(0))
    return Scene(hu[box].astype(np.float32), cut, np.full(cut.shape, FULL, np.uint8), spacing_mm)


def view_labels(view: View) -> NDArray[np.uint8]:
    """The likeliest organ of each voxel of a view."""
    classes = np.asarray(view.labels.classes[0])
    return np.where(classes < CHANNELS, classes, 0).astype(np.uint8)


def plant_large(scene: Scene, seed: int, count: int, least_mm: float = 12.0) -> int:
    """Plant up to `count` lesions of at least `least_mm` all over the scene; returns how many found a place."""
    rng = np.random.default_rng([seed, 41])
    hosts = [host for host in HOSTS if np.count_nonzero(scene.of(host.labels)) > 500]
    weights = np.array([host.weight for host in hosts])
    looks = {host.name: draw_look(host, rng) for host in hosts}
    planted = 0
    for _ in range(count):
        host: Host = hosts[int(rng.choice(len(hosts), p=weights / weights.sum()))]
        size_mm = float(np.exp(rng.uniform(np.log(max(least_mm, host.size_mm[0])), np.log(0.7 * host.size_mm[1]))))
        planted += plant_lesion(scene, host, looks[host.name], size_mm, rng)
    return planted


def score_lesions(found: NDArray[np.bool_], truth: NDArray[np.bool_], voxel_ml: float) -> LesionScore:
    """Compare a tumour mask with the planted one, (z, y, x)."""
    import cc3d

    real = cc3d.connected_components(truth, connectivity=26)
    sizes, hits = np.bincount(real.ravel()), np.bincount(real.ravel(), weights=found.ravel())
    lesions = [n for n in range(1, len(sizes)) if sizes[n] * voxel_ml >= 0.3]
    pieces = cc3d.connected_components(found, connectivity=26)
    volumes, touched = np.bincount(pieces.ravel()), np.bincount(pieces.ravel(), weights=truth.ravel())
    false = sum(bool(volumes[n] * voxel_ml > LEAST_FALSE_ML and not touched[n]) for n in range(1, len(volumes)))
    total = int(found.sum()) + int(truth.sum())
    dice = 2 * int((found & truth).sum()) / total if total else 1.0
    return LesionScore(dice, len(lesions), sum(bool(hits[n] >= FOUND_SHARE * sizes[n]) for n in lesions), false)
