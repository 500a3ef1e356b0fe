"""Labels that cannot be trusted: real scans whose tumours nobody drew, and planted lesions that the network is not asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.tumours.filters import Floats, dilated, distance_mm
from flare_trt.training.tumours.recipe import HOSTS, TUMOUR
from flare_trt.training.tumours.scene import FULL, PARTIAL, Scene, lesion_boxes, smoothed

#: Organs (FLARE labels) about which a CT's cohort has tumours; () means anywhere. CTs that are not named have none in the abdomen.
SUSPECTS: dict[str, tuple[int, ...]] = {
    "crlm_1004": (1,),  # colorectal liver metastases; what is labelled gallbladder is one (looked at)
    "crlm_1006": (1,),
    "cptac_pda": (4, 12),  # pancreatic ductal adenocarcinoma
    "tcga_ov": (),  # ovarian carcinoma, which spreads over the peritoneum
}
#: A suspect organ's border is not trusted so far out, mm.
MARGIN_MM = 8.0
#: Liver, kidneys and spleen look much the same throughout. What is within so many HU of the organ's median is the organ: most
#: metastases differ by more (Sica et al., AJR 2000;174:691).
EVEN_ORGANS, SAME_HU = (1, 2, 3, 13), 12.0
#: Planted lesions so close to their host in the mean, and so little more mottled, are asked of nobody: they would teach that a
#: tumour may be anywhere. Of the recipe's lesions that is a tenth.
HIDDEN_HU, HIDDEN_MOTTLE = 10.0, 1.5
#: Nor are lesions brighter than their host by so much: asked for them, the network found the liver's veins. Nor those in the walls
#: of stomach and duodenum, which look like food.
BRIGHT_HU, GUT = 4.0, tuple(label for host in HOSTS if host.wall for label in host.labels)
#: So many voxels of an organ about a lesion make it the lesion's host.
HOST_VOXELS = 50


def mark_suspects(scene: Scene, ct: str) -> None:
    """Set `scene.trust` to PARTIAL where the CT may hold a tumour that nobody drew: in a suspect organ and beside it.

    What two networks agree to be another organ stays trusted: gallbladders would else be strangers, and tumours all of them. So
    does what looks like most of its organ: a scan of which nothing is trusted teaches nothing, and gets no lesions.
    """
    if ct not in SUSPECTS:
        return
    organs = SUSPECTS[ct]
    where = _near(scene.of(organs), scene) if organs else np.ones(scene.shape, bool)
    if organs:
        where &= ~scene.of(tuple(label for label in range(1, TUMOUR) if label not in organs))
    softer = smoothed(scene.hu, 3.0, scene.spacing_mm)
    for label in EVEN_ORGANS:
        if label in organs or not organs:
            where &= ~_plain(scene.of((label,)), softer)
    scene.trust[where & (scene.trust == FULL)] = PARTIAL


def _near(organ: NDArray[np.bool_], scene: Scene) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = distance_mm(organ, scene.spacing_mm, MARGIN_MM) < MARGIN_MM
    return near


def _plain(organ: NDArray[np.bool_], softer: Floats) -> NDArray[np.bool_]:
    """The part of an organ that looks like most of it, away from what does not."""
    if not organ.any():
        return organ
    odd = np.abs(softer - np.median(softer[organ])) >= SAME_HU
    plain: NDArray[np.bool_] = organ & ~dilated(odd & organ, 2)
    return plain


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
