"""Figures as PNG or SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flare_trt.benchmarks.base.extra import require
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import atomic_file


def new_figure(size_inches: tuple[float, float]) -> Any:
    """An empty figure that needs no screen. Raises FlareError where matplotlib is not installed."""
    require("matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=size_inches, layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Write by the name's ending; an SVG is the same bytes for the same plot."""
    import matplotlib as mpl

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise InputError(f"{path}: got a plot named *{path.suffix}, expected .png or .svg")
    metadata = {"Date": None} if kind == "svg" else None
    with atomic_file(path) as file, mpl.rc_context({"svg.hashsalt": "flare-trt", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, dpi=150, metadata=metadata)
