"""Another contrast phase: how bright each organ is beside the others, and the liver's vessels.

CTs to train on are few, and most have no contrast: without it a network knows livers of one brightness, with vessels of one sign.
"""

from __future__ import annotations

import numpy as np

from flare_trt.training.tumours.filters import Floats, eroded, gaussian
from flare_trt.training.tumours.scene import FULL, Scene

#: Shares of the patches whose organs, and whose liver's vessels, are made brighter or darker.
ORGANS_VARIED, VESSELS_VARIED = 0.55, 0.5
#: The liver's HU from unenhanced to the portal-venous phase, and how far one organ is moved at most.
LIVER_HU, MOST_DARKER_HU, MOST_BRIGHTER_HU = (45.0, 120.0), -70.0, 110.0
#: HU above the liver's, by organ (FLARE labels): from unenhanced to arterial and portal-venous scans.
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
    liver_hu = float(rng.uniform(*LIVER_HU))
    wanted = {(1,): liver_hu} | {labels: liver_hu + float(rng.uniform(*above)) for labels, above in ABOVE_LIVER_HU.items()}
    more = np.zeros(scene.shape, np.float32)
    for labels, hu in wanted.items():
        organ = np.isin(scene.organs, labels)
        if np.count_nonzero(organ) >= LEAST_VOXELS:
            more[organ] = np.clip(hu - float(np.median(scene.smooth[organ])), MOST_DARKER_HU, MOST_BRIGHTER_HU)
    tissue = np.clip((scene.smooth - FAT_HU) / (TISSUE_HU - FAT_HU), 0, 1)
    _add(scene, gaussian(more, [BORDER_MM / mm for mm in scene.spacing_mm], truncate=2.5) * tissue)


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
