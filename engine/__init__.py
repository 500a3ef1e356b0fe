"""The runtime of flare-trt: a CT in, labels out. Imports no network library until one is used.

The names below are the public ones; each is imported from its module when it is first asked for.
"""

if __name__ != "flare_trt.engine":
    raise ImportError("import flare_trt.engine, not engine: run 'pip install -e .' in the checkout first")

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flare_trt.engine.base.errors import FlareError
    from flare_trt.engine.base.grid import Grid
    from flare_trt.engine.base.volume import Volume, ct_volume
    from flare_trt.engine.model.options import RunOptions
    from flare_trt.engine.results.measures import measure_organs
    from flare_trt.engine.scans.image_files import read_ct, read_labels, write_labels
    from flare_trt.engine.segmenter import Segmentation, Segmenter

__all__ = [
    "FlareError",
    "Grid",
    "RunOptions",
    "Segmentation",
    "Segmenter",
    "Volume",
    "ct_volume",
    "measure_organs",
    "read_ct",
    "read_labels",
    "write_labels",
]

_MODULES = {
    "base.errors": ("FlareError",),
    "base.grid": ("Grid",),
    "base.volume": ("Volume", "ct_volume"),
    "model.options": ("RunOptions",),
    "results.measures": ("measure_organs",),
    "scans.image_files": ("read_ct", "read_labels", "write_labels"),
    "segmenter": ("Segmentation", "Segmenter"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
