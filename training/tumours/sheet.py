"""A contact sheet of planted lesions: each patch's slice with most tumour, without and with the lesion's outline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.results.png import png_bytes
from flare_trt.training.tumours.pool import StoredExample, read_example
from flare_trt.training.tumours.recipe import TUMOUR

#: Window of the pictures, HU, and the colour of an outline.
WINDOW_HU = (-110.0, 190.0)
OUTLINE_RGB = (255, 70, 60)
#: Grey levels are kept this far apart, which halves the file: noise compresses badly.
GREY_STEP = 10
#: A patch with a smaller lesion is not shown, voxels of its largest slice.
LEAST_VOXELS = 25


def write_sheet(files: Sequence[Path], count: int, columns: int, path: Path) -> int:
    """Write the first `count` patches that show a lesion as a PNG; returns how many there were."""
    pairs: list[NDArray[np.uint8]] = []
    for file in files:
        patch = read_example(file)
        tumour = patch.classes == TUMOUR
        sizes = tumour.sum((1, 2))
        if sizes.max() >= LEAST_VOXELS and len(pairs) < count:
            pairs.append(_pair(patch, tumour[sizes.argmax()], int(sizes.argmax())))
    rows = [np.concatenate(pairs[start : start + columns], 1) for start in range(0, len(pairs) // columns * columns, columns)]
    if rows:
        with atomic_file(path) as file_object:
            file_object.write(png_bytes(np.concatenate(rows, 0)))
    return len(pairs)


def grey_rgb(hu: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """A slice of HU (y, x) as grey (y, x, 3)."""
    low, high = WINDOW_HU
    grey = (np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8) // GREY_STEP * GREY_STEP
    return np.repeat(grey[..., None], 3, -1)


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of a mask (y, x) that have a neighbour outside it."""
    inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    return mask & ~inner


def _pair(patch: StoredExample, tumour: NDArray[np.bool_], index: int) -> NDArray[np.uint8]:
    plain = grey_rgb(patch.hu[index])
    outlined = plain.copy()
    outlined[outline(tumour)] = OUTLINE_RGB
    return np.concatenate([plain, outlined], 1)
