"""The modes of a run: one value each, and nothing else in the engine asks which mode it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Mode = Literal["exact", "half", "fast"]

#: Which tiles a box is covered with: those of the whole scan's raster that reach it, so that its labels are the whole scan's, or
#: the fewest, spread over the box alone.
Raster = Literal["scan", "box"]
#: Where a network looks while no region of interest is known: the whole scan, or the box of the patient in it.
Search = Literal["scan", "body"]
#: What networks compute in.
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class ModeSettings:
    """What a mode does. `precision` names the backends that leave fp32, where the device has the arithmetic for it.

    Where it has not, or the backend is another, a mode that is `never_fp32` stops with an error; any other runs in fp32.
    """

    about: str  # in the command line's help
    raster: Raster
    search: Search
    uses_fast_spec: bool  # whether the bundle's own fast settings (spec.FastSpec) hold
    never_fp32: bool = False
    precision: Mapping[str, Precision] = field(default_factory=lambda: MappingProxyType({}))

    def precision_of(self, backend: str) -> Precision:
        """What a backend's networks compute in."""
        return self.precision.get(backend, "fp32")


#: Half precision of the backends that have it: bfloat16 on a CPU, float16 on a GPU.
_HALF: Mapping[str, Precision] = MappingProxyType({"openvino": "bf16", "native": "bf16", "tensorrt": "fp16"})

MODES: Mapping[Mode, ModeSettings] = MappingProxyType(
    {
        "exact": ModeSettings("what nnU-Net gives", raster="scan", search="scan", uses_fast_spec=False),
        "half": ModeSettings(
            "the same in half precision (99.95 % of voxels), or an error where the machine has none",
            raster="scan",
            search="scan",
            uses_fast_spec=False,
            never_fp32=True,
            precision=_HALF,
        ),
        "fast": ModeSettings("may differ", raster="box", search="body", uses_fast_spec=True, precision=_HALF),
    }
)
