"""26-connected components on the GPU: each label's box is cut out, labelled by cupyx and put back."""

from __future__ import annotations

import numpy as np

from flare_trt.kernels.contract import Array
from flare_trt.kernels.cuda.gpu import Gpu
from flare_trt.kernels.cuda.launch import Launch
from flare_trt.kernels.cuda.reduce import label_bounds


def label_components(gpu: Gpu, labels: Array) -> Array:
    """See contract.Kernels.components. Components are numbered label by label."""
    from cupyx.scipy import ndimage

    components, found = gpu.zeros(labels.shape, np.int32), 0
    map_yx = labels.shape[1:]
    for label, (*start, z1, y1, x1, voxels) in enumerate(label_bounds(gpu, labels, 256).tolist()):
        if label == 0 or voxels == 0:
            continue
        box = z1 - start[0], y1 - start[1], x1 - start[2]
        mask, parts = gpu.empty(box, np.uint8), gpu.empty(box, np.int32)
        gpu.launch("select_label", Launch.over_volume(box), labels, mask, label, *map_yx, *box, *start)
        with gpu.active():
            count = ndimage.label(mask, structure=np.ones((3, 3, 3), bool), output=parts)
        gpu.launch("place_components", Launch.over_volume(box), parts, components, found, *map_yx, *box, *start)
        found += int(count)
        del mask, parts  # before the next label's are allocated
    return components
