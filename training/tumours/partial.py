"""Labels that cannot be trusted: real scans whose tumours nobody drew, and planted lesions that the network is not asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.warp import Vector
from flare_trt.training.tumours.filters import distance_mm
from flare_trt.training.tumours.recipe import HOSTS, TUMOUR
from flare_trt.training.tumours.scene import FULL, PARTIAL, Scene, lesion_boxes


@dataclass(frozen=True)
class Ball:
    """Where a CT shows what may be a tumour: middle (z, y, x) from the upright CT's first voxel and radius, in mm."""

    middle_mm: tuple[float, float, float]
    radius_mm: float


#: What may be a tumour in livers that were looked at, slice by slice, and show no other (colorectal liver metastases).
UNDRAWN: dict[str, tuple[Ball, ...]] = {
    "crlm_1004": (Ball((90, 198, 134), 16),),
    "crlm_1006": (
        *(Ball((75, 194, 98), 28), Ball((182, 213, 123), 16), Ball((100, 242, 104), 20)),
        *(Ball((88, 136, 189), 15), Ball((150, 237, 139), 25)),
    ),
}
#: Organs (FLARE labels) about which a CT's cohort has tumours. CTs that are not named have none in the abdomen.
SUSPECTS: dict[str, tuple[int, ...]] = {"cptac_pda": (4, 12)}  # pancreatic ductal adenocarcinoma
#: A suspect organ's border is not trusted so far out, mm.
MARGIN_MM = 8.0
#: Cohorts whose tumours may be anywhere (ovarian carcinoma spreads over the peritoneum), and the organs that were looked at and
#: show none: these and so many mm about them are trusted.
LOOKED_AT: dict[str, tuple[int, ...]] = {"tcga_ov": (1, 2, 3, 4, 7, 8, 13)}
ABOUT_MM = 6.0
#: Planted lesions so close to their host in the mean, and so little more mottled, are asked of nobody: they would teach that a
#: tumour may be anywhere. Of the recipe's lesions that is a tenth.
HIDDEN_HU, HIDDEN_MOTTLE = 10.0, 1.5
#: Nor are lesions brighter than their host by so much: asked for them, the network found the liver's veins. Nor those in the walls
#: of stomach and duodenum, which look like food.
BRIGHT_HU, GUT = 4.0, tuple(label for host in HOSTS if host.wall for label in host.labels)
#: So many voxels of an organ about a lesion make it the lesion's host.
HOST_VOXELS = 50


def undrawn(ct: str, shape_zyx: tuple[int, ...], spacing_mm: Vector) -> NDArray[np.bool_]:
    """Where a CT's first view, which is not warped, may show a tumour that nobody drew."""
    where = np.zeros(shape_zyx, bool)
    axes = np.ogrid[tuple(slice(0, size) for size in shape_zyx)]
    for ball in UNDRAWN.get(ct, ()):
        distances = [(axis * mm - middle) ** 2 for axis, mm, middle in zip(axes, spacing_mm, ball.middle_mm, strict=True)]
        where |= distances[0] + distances[1] + distances[2] < ball.radius_mm**2
    return where


def mark_suspects(scene: Scene, ct: str) -> None:
    """Set `scene.trust` to PARTIAL where the CT's cohort may have a tumour that nobody drew: in a suspect organ and beside it, or
    away from what was looked at.

    What two networks agree to be another organ stays trusted: gallbladders would else be strangers, and tumours all of them.
    """
    where = np.zeros(scene.shape, bool)
    if ct in SUSPECTS:
        others = tuple(label for label in range(1, TUMOUR) if label not in SUSPECTS[ct])
        where = _near(scene, SUSPECTS[ct], MARGIN_MM) & ~scene.of(others)
    if ct in LOOKED_AT:
        where = ~_near(scene, LOOKED_AT[ct], ABOUT_MM)
    scene.trust[where & (scene.trust == FULL)] = PARTIAL


def _near(scene: Scene, labels: tuple[int, ...], most_mm: float) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = distance_mm(scene.of(labels), scene.spacing_mm, most_mm) < most_mm
    return near


def lesions_not_asked_for(hu: NDArray[np.int16], classes: NDArray[np.uint8], lesions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Lesions (z, y, x) that differ from their host by less than HIDDEN_HU in the mean and are hardly more mottled, are brighter
    than it by BRIGHT_HU, or lie in a wall of the gut."""
    left_out = np.zeros(hu.shape, bool)
    for number, around in lesion_boxes(lesions, 3):
        inside = lesions[around] == number
        organ, voxels = organ_beside(classes[around])
        host = hu[around][classes[around] == (organ if voxels >= HOST_VOXELS else 0)].astype(np.float32)
        lesion = hu[around][inside].astype(np.float32)
        if not host.size:
            continue
        contrast_hu = float(lesion.mean() - np.median(host))
        hidden = abs(contrast_hu) < HIDDEN_HU and lesion.std() < HIDDEN_MOTTLE * host.std()
        in_organ = voxels >= HOST_VOXELS
        if hidden or (in_organ and (contrast_hu > BRIGHT_HU or organ in GUT)):
            left_out[around] |= inside
    return left_out


def organ_beside(classes: NDArray[np.uint8]) -> tuple[int, int]:
    """The organ that most voxels of a lesion's surroundings (z, y, x) belong to, and how many do."""
    counts = np.bincount(classes.ravel(), minlength=TUMOUR)[1:TUMOUR]
    organ = int(counts.argmax())
    return organ + 1, int(counts[organ])
