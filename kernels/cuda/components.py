"""26-connected components on the GPU: each label's box is cut out, labelled by cupyx and put back; boxes and sizes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.contract import Array
from flare_trt.kernels.cuda.gpu import Gpu
from flare_trt.kernels.cuda.launch import Launch
from flare_trt.kernels.cuda.reduce import NO_EXTENTS, label_bounds

#: Label maps have fewer pieces than this, but for noise.
_FEW_PIECES = 4096


def label_components(gpu: Gpu, labels: Array) -> Array:
    """See contract.Kernels.components. Components are numbered label by label."""
    from cupyx.scipy import ndimage

    components, found = gpu.zeros(labels.shape, np.int32), 0
    map_yx = labels.shape[1:]
    for label, (*start, z1, y1, x1, voxels) in enumerate(label_bounds(gpu, labels, 1 << 8 * labels.dtype.itemsize).tolist()):
        if label == 0 or voxels == 0:
            continue
        box = z1 - start[0], y1 - start[1], x1 - start[2]
        mask, parts = gpu.empty(box, np.uint8), gpu.empty(box, np.int32)
        gpu.launch(f"select_label_{labels.dtype}", Launch.over_volume(box), labels, mask, label, *map_yx, *box, *start)
        with gpu.active():
            count = ndimage.label(mask, structure=np.ones((3, 3, 3), bool), output=parts)
        gpu.launch("place_components", Launch.over_volume(box), parts, components, found, *map_yx, *box, *start)
        found += int(count)
        del mask, parts  # before the next label's are allocated
    return components


def piece_bounds(gpu: Gpu, components: Array) -> NDArray[np.int64]:
    """See contract.Kernels.piece_bounds."""
    table, highest = _bounds_below(gpu, components, _FEW_PIECES)
    if highest >= _FEW_PIECES:
        table, highest = _bounds_below(gpu, components, highest + 1)
    return table[: highest + 1]


def _bounds_below(gpu: Gpu, components: Array, count: int) -> tuple[NDArray[np.int64], int]:
    """Boxes and sizes of the components below `count`, and the highest number of all."""
    extents, voxels = gpu.upload(np.tile(NO_EXTENTS, (count, 1))), gpu.zeros((count,), np.uint64)
    highest = gpu.zeros((1,), np.int32)
    size = Launch.over_volume(components.shape)
    gpu.launch("piece_bounds", size, components, extents, voxels, highest, count, *components.shape)
    table = np.zeros((count, 7), np.int64)
    table[:, :6], table[:, 6] = gpu.download(extents), gpu.download(voxels)
    table[:, 3:6] += 1
    table[table[:, 6] == 0] = 0
    return table, int(gpu.download(highest)[0])
