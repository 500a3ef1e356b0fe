"""The fuzz target of meaning: a series written as a recipe says is segmented as by the command, and compared in the patient."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.fuzz import dicom_meaning as ways
from tests.fuzz.dicom_meaning import LISTED, Recipe, from_bytes
from tests.fuzz.dicom_writer import write
from tests.fuzz.target import Bench

from flare_trt.engine.base.errors import InputError

_TOLERANCE_MM = 0.02  # positions are written to 0.001 mm, and a voxel is 1.5 mm


def same_labels(data: bytes, bench: Bench, segmenter: Any) -> None:
    """Raises AssertionError where labels lie elsewhere than those of the plain volume, or a refusal is not the listed one."""
    recipe = from_bytes(data)
    scan = write(recipe, bench.input)
    try:
        labels, affine = _segmented(scan, bench.output, segmenter)
    except InputError as error:
        if not recipe.twist or LISTED[recipe.twist] not in str(error):
            raise AssertionError(f"refused, and not for {recipe.twist or 'a reason that is listed'}: {error}") from error
        raise
    if recipe.twist:
        raise AssertionError(f"not refused: {recipe.twist}")
    _require_place(recipe, affine, labels.shape)
    expected = ways.turned(_plain_labels(segmenter), recipe)
    if not np.array_equal(labels, expected):
        raise AssertionError(f"{int((labels != expected).sum())} of {labels.size} voxels have another label")


def _segmented(scan: Path, output: Path, segmenter: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The labels (z, y, x) that are written, and their affine, both read by nibabel."""
    import nibabel

    from flare_trt.engine.batch.jobs import Destination, plan_jobs
    from flare_trt.engine.batch.scan_steps import ct_reader, scan_steps
    from flare_trt.engine.model.options import RunOptions

    (job,) = plan_jobs([scan], Destination(output / "labels.nii"))
    steps = scan_steps(segmenter, ct_reader(RunOptions()), lambda _: None)
    read = steps.read(job)
    steps.write(job, read, steps.segment(job, read))
    image = nibabel.load(output / "labels.nii")
    return np.asarray(image.dataobj).T, image.affine


@cache
def _plain_labels(segmenter: Any) -> NDArray[Any]:
    """Of the volume itself, (z, y, x), which has been through no file."""
    from flare_trt.engine.base.grid import Grid
    from flare_trt.engine.base.volume import ct_volume

    grid = Grid(ways.SHAPE, ways.SPACING_ZYX)
    labels = segmenter.segment(ct_volume(ways.base_hu(), grid)).labels.array
    if len(np.unique(labels)) < 4:
        raise AssertionError("the plain volume has too few labels to tell anything")
    return labels


def _require_place(recipe: Recipe, affine: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    """The corners of the labels lie where the recipe put the planes. `affine` is RAS of (x, y, z)."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij")).reshape(3, -1).T
    steps = ways.directions(recipe) * np.array(ways.spacings(recipe))[:, None]
    expected = corners @ steps + np.array(recipe.origin_mm)
    got = (corners[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]) * (-1, -1, 1)
    off_mm = float(np.abs(got - expected).max())
    if off_mm > _TOLERANCE_MM:
        raise AssertionError(f"the labels lie {off_mm:.3g} mm from the planes")
