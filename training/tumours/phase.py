"""Another contrast phase: how bright each organ is beside the others, and the liver's vessels.

CTs to train on are few, and most have no contrast: without it a network knows livers of one brightness, with vessels of one sign.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.tumours.filters import Floats, eroded, gaussian
from flare_trt.training.tumours.scene import FULL, Scene

#: Shares of the patches whose organs, and whose liver's vessels, are made brighter or darker.
ORGANS_VARIED, VESSELS_VARIED = 0.55, 0.5
#: With contrast (arterial to portal-venous): the liver's HU, and how far one organ is moved at most.
LIVER_HU, MOST_DARKER_HU, MOST_BRIGHTER_HU = (45.0, 120.0), -70.0, 110.0
#: With contrast: HU above the liver's, by organ (FLARE labels).
ABOVE_LIVER_HU: dict[tuple[int, ...], tuple[float, float]] = {
    (3,): (-15, 30),
    (2, 13): (-20, 90),
    (4,): (-40, 0),
    (7,): (-50, -5),
    (8,): (-50, -5),
    (5,): (-15, 110),
    (6,): (-15, 70),
    (10,): (-50, -10),
}
#: Share of the varied patches that become unenhanced as a whole.
UNENHANCED = 0.4
#: Unenhanced: HU by organ. Medians of lidc_0002, lidc_0314 and ts_example, widened (livers that hold fat are darker): there
#: the kidneys are 28 to 39 HU darker than the liver, with contrast never more than 2.
UNENHANCED_HU: dict[tuple[int, ...], tuple[float, float]] = {
    (1,): (35, 70),
    (2, 13): (8, 38),
    (3,): (32, 60),
    (4,): (10, 45),
    (5,): (30, 48),
    (6,): (30, 48),
    (7,): (-8, 32),
    (8,): (-8, 32),
    (10,): (12, 40),
}
#: What contrast shows inside an organ (a kidney's cortex, the spleen's stripes) and is left of it without.
STRUCTURE_KEPT = 0.25
#: What is darker than its organ by more is its border, HU.
MOST_STRUCTURE_HU = 30.0
#: Organs with fewer voxels in the patch stay as they are.
LEAST_VOXELS = 300
#: Fat stays as it is: what is added begins at the first of these HU and is whole at the second.
FAT_HU, TISSUE_HU = -20.0, 20.0
#: The liver's structure: what is left after smoothing by so many mm, beyond so many HU (noise) and up to the second (lesions).
VESSEL_MM, NOISE_HU, MOST_VESSEL_HU = 2.4, 6.0, 50.0
#: Organs' borders are blurred by so many mm.
BORDER_MM = 0.9


def vary_phase(scene: Scene, rng: np.random.Generator) -> None:
    """Make organs brighter or darker one by one, and the liver's vessels stronger, weaker or their opposite."""
    if rng.random() < ORGANS_VARIED:
        _vary_organs(scene, rng)
    if rng.random() < VESSELS_VARIED:
        _vary_vessels(scene, rng)


def _vary_organs(scene: Scene, rng: np.random.Generator) -> None:
    more = _unenhanced(scene, rng) if rng.random() < UNENHANCED else _enhanced(scene, rng)
    tissue = np.clip((scene.smooth - FAT_HU) / (TISSUE_HU - FAT_HU), 0, 1)
    _add(scene, gaussian(more, [BORDER_MM / mm for mm in scene.spacing_mm], truncate=2.5) * tissue)


def _enhanced(scene: Scene, rng: np.random.Generator) -> Floats:
    """HU (z, y, x) to add, the same all over an organ."""
    liver_hu = float(rng.uniform(*LIVER_HU))
    wanted = {(1,): liver_hu} | {labels: liver_hu + float(rng.uniform(*above)) for labels, above in ABOVE_LIVER_HU.items()}
    more = np.zeros(scene.shape, np.float32)
    for organ, hu in _organs_of(scene, wanted):
        more[organ] = np.clip(hu - float(np.median(scene.smooth[organ])), MOST_DARKER_HU, MOST_BRIGHTER_HU)
    return more


def _unenhanced(scene: Scene, rng: np.random.Generator) -> Floats:
    """HU (z, y, x) to add, so that organs have the HU of a scan without contrast and little structure."""
    wanted = {labels: float(rng.uniform(*hu)) for labels, hu in UNENHANCED_HU.items()}
    more = np.zeros(scene.shape, np.float32)
    for organ, hu in _organs_of(scene, wanted):
        smooth = scene.smooth[organ]
        middle = np.float32(np.median(smooth))
        more[organ] = hu - middle - (1 - STRUCTURE_KEPT) * np.maximum(smooth - middle, -MOST_STRUCTURE_HU)
    return more


def _organs_of(scene: Scene, wanted: dict[tuple[int, ...], float]) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """Where each organ is that the patch shows enough of, and its HU."""
    for labels, hu in wanted.items():
        organ = np.isin(scene.organs, labels)
        if np.count_nonzero(organ) >= LEAST_VOXELS:
            yield organ, hu


def _vary_vessels(scene: Scene, rng: np.random.Generator) -> None:
    liver = scene.organs == 1
    if np.count_nonzero(liver) < LEAST_VOXELS:
        return
    soft = gaussian(scene.hu, [VESSEL_MM / mm for mm in scene.spacing_mm], truncate=2.5)
    above = soft - np.float32(np.median(scene.smooth[liver]))
    vessels = np.sign(above) * np.clip(np.abs(above) - NOISE_HU, 0, MOST_VESSEL_HU)
    inside = gaussian(eroded(liver & (scene.trust == FULL), 2).astype(np.float32), (0.8, 1.0, 1.0))
    _add(scene, inside * vessels * np.float32(rng.uniform(-3.0, 1.0)))


def _add(scene: Scene, more_hu: Floats) -> None:
    scene.hu += more_hu
    scene.smooth += more_hu
