"""A picture of a scan and its labels: coronal, axial and sagittal cuts through the labels' centre, side by side.

Window 40/400 HU for a CT; radiological view: the patient's right is on the left, anterior on top of the axial cut and on the
left of the sagittal one, superior on top. Pixels are square in mm, whatever the voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Reorientation
from flare_trt.engine.base.label_types import value_count
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import LabelSpec
from flare_trt.engine.results.png import png_bytes
from flare_trt.kernels import Box

Window = tuple[float, float]  # level, width of the values that are shown
WINDOW_HU: Window = (40.0, 400.0)  # soft tissue
_OPACITY = 0.45
#: Pixels: the picture's height, the most that one cut is wide, and between cuts.
_HEIGHT, _WIDTH, _GAP = 480, 720, 8
#: Pixels: a slice of the strip at its longer side. And how many slices are spread over the scan at least.
_STRIP, _SPREAD = 256, 8
#: Array orientation in which a plane shows radiologically as it lies: rows to I or P, columns to L or P.
_SHOWN = "IPL"


@dataclass(frozen=True)
class Cut:
    """A plane of the scan, in the order in which it is shown: HU and labels (rows, columns), size of a pixel in mm."""

    hu: NDArray[Any]
    labels: NDArray[np.uint8]
    pixel_mm: tuple[float, float]
    window: Window = WINDOW_HU


@dataclass(frozen=True)
class StripSlice:
    """An axial slice with the labels' outlines, uint8 RGB; `index` counts from 0 along the array's axial axis.

    `values` are the labels in it.
    """

    index: int
    image: NDArray[np.uint8]
    values: tuple[int, ...]


@dataclass(frozen=True)
class Pictures:
    """RGB pictures of equal height, uint8 (height, width, 3); `strip` are axial slices from head to foot, for a page."""

    coronal: NDArray[np.uint8]
    axial: NDArray[np.uint8]
    sagittal: NDArray[np.uint8]
    strip: tuple[StripSlice, ...] = ()


def preview_png(ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...]) -> bytes:
    """The three pictures side by side as PNG bytes. Raises InputError as `pictures` does."""
    return side_by_side(pictures(ct, labels, colours))


def side_by_side(shown: Pictures) -> bytes:
    """One picture of three, as PNG bytes."""
    gap = np.zeros((_HEIGHT, _GAP, 3), np.uint8)
    return png_bytes(np.concatenate([shown.coronal, gap, shown.axial, gap, shown.sagittal], axis=1))


def value_window(scan: Volume) -> Window:
    """What shows all values of a scan other than a CT."""
    low, high = scan.value_range
    return (low + high) / 2, max(high - low, 1e-6)


def pictures(ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...], window: Window = WINDOW_HU) -> Pictures:
    """The pictures of a scan. `labels` lie on the CT's grid. Raises InputError where they do not."""
    table = _colour_table(ct, labels, colours)
    size = (_HEIGHT, _WIDTH)
    coronal, axial, sagittal = (_centred(squared(_coloured(cut, table), cut.pixel_mm, size)) for cut in cuts(ct, labels, window))
    return Pictures(coronal, axial, sagittal)


def slice_strip(
    ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...], wanted: Sequence[int], window: Window = WINDOW_HU
) -> tuple[StripSlice, ...]:
    """Axial slices with outlines from head to foot: those `wanted` (from 0 along the axial axis), and some all over the scan.

    Raises InputError where the labels do not lie on the CT's grid.
    """
    table = _colour_table(ct, labels, colours)
    axis = ct.grid.axis_along("S")
    last = ct.grid.shape_zyx[axis] - 1
    spread = (round(last * step / (_SPREAD - 1)) for step in range(_SPREAD))
    upwards = ct.grid.orientation[axis] == "S"
    turn = Reorientation.to(ct.grid, _SHOWN)
    planes = {index: _plane(ct, labels, turn, (0, last - index if upwards else index), window) for index in {*wanted, *spread}}
    return tuple(_strip_slice(index, planes[index], table) for index in sorted(planes, reverse=upwards))


def _strip_slice(index: int, cut: Cut, table: NDArray[np.float32]) -> StripSlice:
    size = (_STRIP, _STRIP)
    image = squared(_grey(cut)[..., None].repeat(3, axis=2).astype(np.uint8), cut.pixel_mm, size)
    shown = squared(cut.labels, cut.pixel_mm, size)
    edge = outlined(shown)
    image[edge] = table[shown[edge]].astype(np.uint8)
    return StripSlice(index, image, tuple(int(value) for value in np.unique(cut.labels) if value))


def outlined(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The labelled pixels of (rows, columns) that have another value, or the picture's edge, beside them."""
    padded = np.pad(labels, 1)
    middle = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edge: NDArray[np.bool_] = (middle > 0) & np.logical_or.reduce([other != middle for other in beside])
    return edge


def _colour_table(ct: Volume, labels: Volume, colours: tuple[LabelSpec, ...]) -> NDArray[np.float32]:
    """RGB of each label value. Raises InputError where the labels do not lie on the CT's grid."""
    if labels.grid.shape_zyx != ct.grid.shape_zyx:
        raise InputError(f"preview: got labels of shape {labels.grid.shape_zyx} for a CT of {ct.grid.shape_zyx}")
    table = np.zeros((max(value_count(labels.array.dtype), *(label.value + 1 for label in colours)), 3), np.float32)
    for label in colours:
        table[label.value] = [int(label.colour[at : at + 2], 16) for at in (1, 3, 5)]
    return table


def cuts(ct: Volume, labels: Volume, window: Window = WINDOW_HU) -> tuple[Cut, Cut, Cut]:
    """The coronal, axial and sagittal cuts, turned to be shown."""
    turn = Reorientation.to(ct.grid, _SHOWN)
    centre = _centre(turn.apply(labels.array))
    coronal, axial, sagittal = (_plane(ct, labels, turn, (axis, centre[axis]), window) for axis in (1, 0, 2))
    return coronal, axial, sagittal


def _plane(ct: Volume, labels: Volume, turn: Reorientation, where: tuple[int, int], window: Window) -> Cut:
    """A plane of the turned scan: `where` is its axis and its index there."""
    axis, index = where
    box = Box.whole(turn.permuted(ct.grid.shape_zyx)).along(axis, index, index + 1)
    plane = turn.undo_box(box, ct.grid.shape_zyx)
    hu, values = (np.squeeze(turn.apply(volume.array[plane.slices]), axis) for volume in (ct, labels))
    rows_mm, columns_mm = (mm for at, mm in enumerate(turn.permuted(ct.grid.spacing_mm)) if at != axis)
    return Cut(hu, values, (rows_mm, columns_mm), window)


def _centre(labels: NDArray[np.uint8]) -> tuple[int, int, int]:
    """The labelled voxels' mean position on each axis; the scan's middle where nothing is labelled."""
    places = []
    for axis in range(3):
        counts = np.count_nonzero(labels, axis=tuple(a for a in range(3) if a != axis))
        total = int(counts.sum())
        places.append(round(float(counts @ np.arange(len(counts))) / total) if total else len(counts) // 2)
    return places[0], places[1], places[2]


def _grey(cut: Cut) -> NDArray[np.float32]:
    """The values in the window as 0 to 255."""
    level, width = cut.window
    share = np.clip((cut.hu.astype(np.float32) - (level - width / 2)) / width, 0, 1)
    return np.asarray(share * 255, np.float32)


def _coloured(cut: Cut, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey HU with the labels' colours laid over, RGB."""
    opacity = np.where(cut.labels > 0, np.float32(_OPACITY), np.float32(0))[..., None]
    blended = (1 - opacity) * _grey(cut)[..., None] + opacity * table[cut.labels]
    return (blended + 0.5).astype(np.uint8)


def squared(image: NDArray[np.uint8], pixel_mm: tuple[float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Nearest neighbour to square pixels, as large as fits into `size` (height, width)."""
    rows, columns = image.shape[:2]
    height_mm, width_mm = rows * pixel_mm[0], columns * pixel_mm[1]
    scale = min(size[0] / height_mm, size[1] / width_mm)
    height, width = max(1, round(height_mm * scale)), max(1, round(width_mm * scale))
    down = (np.arange(height) + 0.5) * rows / height
    across = (np.arange(width) + 0.5) * columns / width
    return np.asarray(image[down.astype(int)][:, across.astype(int)])


def _centred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """On _HEIGHT black rows."""
    canvas = np.zeros((_HEIGHT, *image.shape[1:]), np.uint8)
    top = (_HEIGHT - len(image)) // 2
    canvas[top : top + len(image)] = image
    return canvas
