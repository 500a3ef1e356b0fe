"""What both host devices do alike: which components stay, and an image cut out by a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.kernels.contract import Array


class HostPieces:
    """The part of contract.Kernels that works on numbered components and masks, for reference and native."""

    def zero_outside(self, image: Array, inside: Array) -> None:
        image[inside == 0] = 0

    def select_labels(self, labels: Array, chosen: NDArray[np.bool_]) -> Array:
        return chosen.astype(np.uint8)[labels]

    def keep_pieces(self, labels: Array, components: Array, kept: NDArray[np.bool_]) -> None:
        gone = np.zeros(max(len(kept), int(components.max(initial=0)) + 1), bool)
        gone[1 : len(kept)] = ~kept[1:]
        labels[gone[components]] = 0
