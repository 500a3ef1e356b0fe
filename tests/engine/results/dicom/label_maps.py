"""Label maps for the DICOM outputs, and the model they are said to come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tests.engine.fake_bundle import fake_spec

from flare_trt.engine.model.spec import FLARE_LABELS, ModelSpec


def flare_spec() -> ModelSpec:
    """The 14 classes of FLARE."""
    return replace(fake_spec(), name="fake model", labels=FLARE_LABELS)


def blobs(shape_zyx: tuple[int, int, int], seed: int = 5) -> NDArray[np.uint8]:
    """Several smooth structures with holes and islands, one of them at the scan's edge; classes 1, 2, 7, 13 and 14."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    labels = np.zeros(shape_zyx, np.uint8)
    for value in (1, 2, 7, 13, 14):
        noise = ndimage.gaussian_filter(rng.normal(size=shape_zyx), (1, 2, 2))
        labels[noise > noise.std() * 1.1] = value
    labels[0, :3, :3] = 1
    return labels
