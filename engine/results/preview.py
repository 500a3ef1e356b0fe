"""A picture of a scan and its labels: coronal, axial and sagittal cuts through the labels' centre, side by side.

Window 40/400 HU; radiological view: the patient's right is on the left, anterior on top of the axial cut and on the left of
the sagittal one, superior on top. Pixels are square in mm, whatever the voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Reorientation
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.png import png_bytes
from flare_trt.kernels import Box

WINDOW_HU = (40.0, 400.0)  # level, width: soft tissue
_OPACITY = 0.45
#: Pixels: the picture's height, the most that one cut is wide, and between cuts.
_HEIGHT, _WIDTH, _GAP = 480, 720, 8
#: Array orientation in which a plane shows radiologically as it lies: rows to I or P, columns to L or P.
_SHOWN = "IPL"


@dataclass(frozen=True)
class Cut:
    """A plane of the scan, in the order in which it is shown: HU and labels (rows, columns), size of a pixel in mm."""

    hu: NDArray[Any]
    labels: NDArray[np.uint8]
    pixel_mm: tuple[float, float]


@dataclass(frozen=True)
class Pictures:
    """RGB pictures of equal height, uint8 (height, width, 3)."""

    coronal: NDArray[np.uint8]
    axial: NDArray[np.uint8]
    sagittal: NDArray[np.uint8]


def preview_png(ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...]) -> bytes:
    """The three pictures side by side as PNG bytes. Raises InputError as `pictures` does."""
    return side_by_side(pictures(ct, labels, colours))


def side_by_side(shown: Pictures) -> bytes:
    """One picture of three, as PNG bytes."""
    gap = np.zeros((_HEIGHT, _GAP, 3), np.uint8)
    return png_bytes(np.concatenate([shown.coronal, gap, shown.axial, gap, shown.sagittal], axis=1))


def pictures(ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...]) -> Pictures:
    """The pictures of a scan. `labels` lie on the CT's grid. Raises InputError where they do not."""
    if labels.grid.shape_zyx != ct.grid.shape_zyx:
        raise InputError(f"preview: got labels of shape {labels.grid.shape_zyx} for a CT of {ct.grid.shape_zyx}")
    table = np.zeros((256, 3), np.float32)
    for label in colours:
        table[label.value] = [int(label.colour[at : at + 2], 16) for at in (1, 3, 5)]
    coronal, axial, sagittal = (_resized(_coloured(cut, table), cut.pixel_mm) for cut in cuts(ct, labels))
    return Pictures(coronal, axial, sagittal)


def cuts(ct: Volume, labels: Volume) -> tuple[Cut, Cut, Cut]:
    """The coronal, axial and sagittal cuts, turned to be shown."""
    turn = Reorientation.to(ct.grid, _SHOWN)
    shape, spacing_mm = turn.permuted(ct.grid.shape_zyx), turn.permuted(ct.grid.spacing_mm)
    centre = _centre(turn.apply(labels.array))

    def cut(axis: int) -> Cut:
        plane = turn.undo_box(Box.whole(shape).along(axis, centre[axis], centre[axis] + 1), ct.grid.shape_zyx)
        hu, shown = (np.squeeze(turn.apply(volume.array[plane.slices]), axis) for volume in (ct, labels))
        rows_mm, columns_mm = (mm for at, mm in enumerate(spacing_mm) if at != axis)
        return Cut(hu, shown, (rows_mm, columns_mm))

    return cut(1), cut(0), cut(2)


def _centre(labels: NDArray[np.uint8]) -> tuple[int, int, int]:
    """The labelled voxels' mean position on each axis; the scan's middle where nothing is labelled."""
    places = []
    for axis in range(3):
        counts = np.count_nonzero(labels, axis=tuple(a for a in range(3) if a != axis))
        total = int(counts.sum())
        places.append(round(float(counts @ np.arange(len(counts))) / total) if total else len(counts) // 2)
    return places[0], places[1], places[2]


def _coloured(cut: Cut, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey HU with the labels' colours laid over, RGB."""
    level, width = WINDOW_HU
    grey = np.clip((cut.hu.astype(np.float32) - (level - width / 2)) / width, 0, 1) * 255
    opacity = np.where(cut.labels > 0, np.float32(_OPACITY), np.float32(0))[..., None]
    blended: NDArray[np.float32] = (1 - opacity) * grey[..., None] + opacity * table[cut.labels]
    return (blended + 0.5).astype(np.uint8)


def _resized(image: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Nearest neighbour to square pixels, as large as fits _HEIGHT x _WIDTH, centred on _HEIGHT black rows."""
    rows, columns = image.shape[:2]
    height_mm, width_mm = rows * pixel_mm[0], columns * pixel_mm[1]
    scale = min(_HEIGHT / height_mm, _WIDTH / width_mm)
    height, width = max(1, round(height_mm * scale)), max(1, round(width_mm * scale))
    down = (np.arange(height) + 0.5) * rows / height
    across = (np.arange(width) + 0.5) * columns / width
    canvas = np.zeros((_HEIGHT, width, 3), np.uint8)
    top = (_HEIGHT - height) // 2
    canvas[top : top + height] = image[down.astype(int)][:, across.astype(int)]
    return canvas
