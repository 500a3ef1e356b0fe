"""How maps and kernels are stored, and which compiled functions read them so (separable.h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from flare_trt.engine.model.modes import Precision
from flare_trt.engine.networks.native_.half import in_bf16
from flare_trt.engine.networks.native_.separable import SeparableNet
from flare_trt.engine.networks.native_.tiles import in_tiles
from flare_trt.kernels.native import COMPILED


@dataclass(frozen=True)
class Layout:
    """Rows of a map are whole multiples of `together` voxels; `suffix` ends the functions' names."""

    dtype: np.dtype[Any]
    together: int
    lay_out: Callable[[SeparableNet], SeparableNet]
    suffix: str = ""

    def width(self, voxels_x: int) -> int:
        """Voxels that a row is stored as."""
        return -(-voxels_x // self.together) * self.together

    def function(self, name: str) -> Callable[..., Any]:
        """A compiled function."""
        found: Callable[..., Any] = getattr(import_module(COMPILED), name + self.suffix)
        return found


FLOATS = Layout(np.dtype(np.float32), 1, lambda net: net)
#: bf16, two voxels side by side: for AVX512_BF16.
PAIRS = Layout(np.dtype(np.uint16), 2, in_bf16)
#: bf16, rows of one channel: for AMX.
TILES = Layout(np.dtype(np.uint16), 32, in_tiles, "_tiled")


def layout_of(precision: Precision) -> Layout:
    """The one that this processor is fastest with."""
    if precision == "fp32":
        return FLOATS
    return TILES if import_module(COMPILED).separable_tiles() else PAIRS
