"""The runtime of flare-trt: a CT in, labels out. Imports no network library until one is used.

The names below are the public ones; each is imported from its module when it is first asked for.
"""

if __name__ != "flare_trt.engine":
    raise ImportError("import flare_trt.engine, not engine: run 'pip install -e .' in the checkout first")

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flare_trt.engine.errors import FlareError
    from flare_trt.engine.grid import Grid
    from flare_trt.engine.measures import measure_organs
    from flare_trt.engine.nifti import read_ct, read_labels, write_labels
    from flare_trt.engine.options import RunOptions
    from flare_trt.engine.segmenter import Segmentation, Segmenter
    from flare_trt.engine.volume import Volume

__all__ = [
    "FlareError",
    "Grid",
    "RunOptions",
    "Segmentation",
    "Segmenter",
    "Volume",
    "measure_organs",
    "read_ct",
    "read_labels",
    "write_labels",
]

_MODULES = {
    "errors": ("FlareError",),
    "grid": ("Grid",),
    "measures": ("measure_organs",),
    "nifti": ("read_ct", "read_labels", "write_labels"),
    "options": ("RunOptions",),
    "segmenter": ("Segmentation", "Segmenter"),
    "volume": ("Volume",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
