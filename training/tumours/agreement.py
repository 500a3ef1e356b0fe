"""Two networks' views of one CT become one: where their likeliest classes differ, the organ is doubtful; where it may show a
tumour that nobody drew, so is whether it is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.training.distil.soft_labels import SoftLabels
from flare_trt.training.distil.views import View, open_view, write_view
from flare_trt.training.tumours.partial import UNDRAWN, undrawn
from flare_trt.training.tumours.recipe import CHANNELS

#: The classes of a voxel that two networks label differently, and of one that may be a tumour; behind the network's own.
DOUBT, SUSPECT = CHANNELS, CHANNELS + 1


def agreed_views(teacher: Path, other: Path, destination: Path) -> None:
    """Write the views that both caches hold and the destination lacks. Raises InputError where images differ.

    Views of a CT that has undrawn tumours are left out but for its first, which is not warped: where they lie is known there.
    """
    for folder in sorted(file.parent for file in teacher.glob("*/view.json")):
        ct, _, number = folder.name.rpartition("-")
        known = ct not in UNDRAWN or not int(number)
        if known and (other / folder.name / "view.json").exists() and not (destination / folder.name).exists():
            write_view(agreed_view(open_view(folder), open_view(other / folder.name), ct), destination / folder.name)


def agreed_view(teacher: View, other: View, ct: str) -> View:
    """The teacher's view, with class DOUBT where the other network's likeliest class is another one, SUSPECT where the CT may show
    a tumour."""
    if not np.array_equal(teacher.image_hu, other.image_hu):
        raise InputError("views: the two networks' views show different images; make both with the same CTs and seed")
    doubt = teacher.labels.classes[0] != other.labels.classes[0]
    suspect = undrawn(ct, teacher.image_hu.shape, teacher.spacing_mm)
    classes, shares = np.array(teacher.labels.classes), np.array(teacher.labels.shares)
    classes[0][doubt], classes[0][suspect] = DOUBT, SUSPECT
    shares[0][doubt | suspect], shares[1:, doubt | suspect] = 255, 0
    return View(teacher.image_hu, SoftLabels(classes, shares), teacher.half_labels, teacher.spacing_mm)
