"""Two networks' views of one CT become one: where their most likely classes differ, the label is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.soft_labels import SoftLabels
from flare_trt.training.distil.views import View, open_view, write_view
from flare_trt.training.tumours.recipe import CHANNELS

#: The class of a voxel that two networks label differently; behind the network's own classes.
DOUBT = CHANNELS


def agreed_views(teacher: Path, other: Path, destination: Path) -> None:
    """Write the views that both caches hold and the destination lacks. Raises InputError where images differ."""
    for folder in sorted(file.parent for file in teacher.glob("*/view.json")):
        if (other / folder.name / "view.json").exists() and not (destination / folder.name).exists():
            write_view(agreed_view(open_view(folder), open_view(other / folder.name)), destination / folder.name)


def agreed_view(teacher: View, other: View) -> View:
    """The teacher's view, with class DOUBT where the other network's most likely class is another one."""
    if not np.array_equal(teacher.image_hu, other.image_hu):
        raise InputError("views: the two networks' views show different images; make both with the same CTs and seed")
    doubt = teacher.labels.classes[0] != other.labels.classes[0]
    classes, shares = np.array(teacher.labels.classes), np.array(teacher.labels.shares)
    classes[0][doubt], shares[0][doubt], shares[1:, doubt] = DOUBT, 255, 0
    return View(teacher.image_hu, SoftLabels(classes, shares), teacher.half_labels, teacher.spacing_mm)
