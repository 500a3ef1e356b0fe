"""A DICOM-SEG as a label map: binary or labelmap, by whomever it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.label_types import MOST_LABEL, label_dtype
from flare_trt.engine.base.regular_file import require_regular
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet


def read_segmentation(path: Path) -> tuple[Volume, dict[int, str]]:
    """Labels on the grid of the segmentation's own planes, and the segments' names by number.

    Raises InputError for what is no segmentation, for planes that make no regular grid, and for segments that overlap.
    """
    require_regular(path)
    try:
        with quiet():
            highdicom = library("highdicom")
            segmentation = highdicom.seg.segread(path)
            names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in segmentation.SegmentSequence}
            names.pop(0, None)
            if not names or max(names) > MOST_LABEL:
                raise InputError(f"{path}: got {len(names)} segments, expected 1 to {MOST_LABEL}")
            volume = segmentation.get_volume(combine_segments=True, relabel=False, rescale_fractional=False)
    except RuntimeError as error:  # highdicom's word for overlaps, and for planes that are no grid
        raise InputError(
            f"{path}: the segments overlap, or their planes make no regular grid; convert it to a label map"
        ) from error
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path}: no DICOM-SEG that can be read ({type(error).__name__}); name a .nii.gz or a DICOM-SEG") from None
    return Volume(np.ascontiguousarray(volume.array, label_dtype(names)), _grid(volume)), names


def _grid(volume: Any) -> Grid:
    """The grid of a highdicom volume, whose axes are (slice, row, column) in LPS."""
    matrix = np.asarray(volume.affine, float)
    spacing_mm = np.linalg.norm(matrix[:3, :3], axis=0)
    columns = (matrix[:3, :3] / spacing_mm)[:, ::-1]
    direction = tuple(tuple(float(value) for value in row) for row in columns)
    z, y, x = (float(mm) for mm in spacing_mm)
    origin = tuple(float(value) for value in matrix[:3, 3])
    return Grid(tuple(volume.array.shape), (z, y, x), origin, direction)  # type: ignore[arg-type]  # three axes, known
