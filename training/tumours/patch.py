"""A drawn patch: a scene as it is learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.tumours.draw import NamedView, draw_scene
from flare_trt.training.tumours.partial import lesions_not_asked_for
from flare_trt.training.tumours.scene import PARTIAL, Scene


@dataclass(frozen=True)
class DrawnPatch:
    """A patch (z, y, x): HU, and as bytes the labels, the share of tumour (255: all), the trust and the lesions' numbers."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    tumour: NDArray[np.uint8]
    trust: NDArray[np.uint8]
    lesions: NDArray[np.uint8]


def drawn_patch(views: Sequence[NamedView], config: DistilConfig, number: int) -> DrawnPatch:
    """Patch `number`, which hangs on the configuration's seed and its number alone."""
    return patch_of(draw_scene(views, config, np.random.default_rng([config.seed, 7, number])))


def patch_of(scene: Scene) -> DrawnPatch:
    """A scene as it is learnt from: lesions that are not asked for are trusted no more than what nobody drew."""
    hu, labels = np.clip(np.rint(scene.hu), -32000, 32000).astype(np.int16), scene.labels
    trust = np.where(lesions_not_asked_for(hu, labels, scene.lesions), np.uint8(PARTIAL), scene.trust)
    return DrawnPatch(hu, labels, np.rint(scene.tumour * 255).astype(np.uint8), trust, scene.lesions)
