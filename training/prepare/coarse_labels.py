"""Labels of the coarse network, which does not tell tumours apart (paper, section 3.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import ORGANS, TUMOUR

#: The value of voxels that no loss is taken on: nnU-Net wants the highest label.
FINE_IGNORE, COARSE_IGNORE = 15, 14


def without_tumour(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each tumour (26-connected) becomes the organ that most of its border touches, or background where it touches none.

    uint8 (z, y, x) with organs 1 to 13, tumour 14 and ignore 15 -> organs 1 to 13 and ignore 14.
    """
    import cc3d
    from scipy import ndimage

    result = np.where(labels == FINE_IGNORE, COARSE_IGNORE, np.where(labels == TUMOUR, 0, labels)).astype(np.uint8)
    tumours, count = cc3d.connected_components(labels == TUMOUR, connectivity=26, return_N=True)
    for number, place in enumerate(ndimage.find_objects(tumours, max_label=count), start=1):
        grown = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in place)
        tumour = tumours[grown] == number
        border = ndimage.binary_dilation(tumour, np.ones((3, 3, 3), bool)) & ~tumour
        touched = np.bincount(labels[grown][border], minlength=TUMOUR)[: len(ORGANS) + 1]
        touched[0] = 0
        result[grown][tumour] = touched.argmax()
    return result
