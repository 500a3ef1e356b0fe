"""Pictures of the cases that agree least: an axial and a coronal slice with the merged labels over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.grid import Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS
from flare_trt.training.prepare.coarse_labels import FINE_IGNORE

#: The usual abdominal window.
WINDOW_HU = (-160.0, 240.0)


def draw_case(ct: Volume, labels: Volume, title: str, path: Path) -> None:
    """Write a PNG of the slices that show most labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    turn = Reorientation.to(ct.grid, "SPL")
    image, shown = turn.apply(ct.array), turn.apply(labels.array)
    z_mm, y_mm, x_mm = turn.grid(ct.grid).spacing_mm
    z, y = (int(np.argmax((shown > 0).sum(axis=axes))) for axes in ((1, 2), (0, 2)))
    figure = Figure(figsize=(9, 4.5), layout="tight")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    cuts = ((image[z], shown[z], y_mm / x_mm), (image[::-1, y], shown[::-1, y], z_mm / x_mm))
    for axes, (grey, over, aspect) in zip(figure.subplots(1, 2), cuts, strict=True):
        axes.imshow(_painted(grey, over), aspect=aspect)
        axes.axis("off")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _painted(hu: NDArray[np.generic], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB (h, w, 3) of a slice in WINDOW_HU with half-transparent label colours."""
    low, high = WINDOW_HU
    grey = np.clip((hu.astype(np.float32) - low) / (high - low), 0, 1)
    colours = np.zeros((256, 3), np.float32)
    for label in FLARE_LABELS:
        colours[label.value] = [int(label.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    colours[FINE_IGNORE] = (1.0, 0.0, 1.0)
    share = np.where(labels > 0, 0.5, 0.0)[..., None].astype(np.float32)
    result: NDArray[np.float32] = grey[..., None] * (1 - share) + colours[labels] * share
    return result
