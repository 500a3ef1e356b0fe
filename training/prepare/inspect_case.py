"""Reads one case and says what is in it: grid, HU, organ volumes, what it vouches for, and what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid, Reorientation
from flare_trt.engine.base.organs import CORE_ORGANS, LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPLEEN, STRUCTURES
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.training.prepare.cases import Case
from flare_trt.training.prepare.vouching import vouched_classes

LABEL_NAMES = {row.value: row.name for row in STRUCTURES}

#: Spacings outside are read, with a warning: slices thicker than 10 mm hide adrenal glands, voxels under 0.2 mm are no body CT.
SPACING_MM = (0.2, 10.0)


@dataclass(frozen=True)
class HuStatistics:
    """HU of a region: nnU-Net takes the 0.5 and 99.5 percentiles, mean and standard deviation of the foreground."""

    percentile_00_5: float
    percentile_99_5: float
    mean: float
    std: float


@dataclass(frozen=True)
class CaseFacts:
    """What `inspect_case` found. `usable` is False where training on the case would do harm."""

    name: str
    shape_zyx: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    volumes_ml: Mapping[int, float]
    vouched: tuple[int, ...]
    foreground_hu: HuStatistics | None
    problems: tuple[str, ...]
    usable: bool


def inspect_case(case: Case) -> CaseFacts:
    """Read a case's files and check them; a file that cannot be read is a problem of the case, not an error of the run."""
    try:
        ct = read_ct(case.image)
        labels = read_labels(case.label) if case.label is not None else None
    except InputError as error:
        return CaseFacts(case.name, (0, 0, 0), (0.0, 0.0, 0.0), "", {}, (), None, (str(error),), usable=False)
    fatal = _fatal_problems(ct, labels)
    volumes = label_volumes(labels) if labels is not None else {}
    hints = _hints(ct)
    if labels is not None and not fatal:
        hints += _odd_volumes(volumes) + _swapped_sides(labels)
    return CaseFacts(
        name=case.name,
        shape_zyx=ct.grid.shape_zyx,
        spacing_mm=ct.grid.spacing_mm,
        orientation=ct.grid.orientation,
        volumes_ml=volumes,
        vouched=vouched_classes(volumes.keys()),
        foreground_hu=_statistics(ct.array[labels.array > 0]) if labels is not None and not fatal else None,
        problems=fatal + hints,
        usable=not fatal,
    )


def label_volumes(labels: Volume) -> dict[int, float]:
    """Volume in ml of each label that occurs."""
    counts = np.bincount(labels.array.ravel(), minlength=1)
    return {label: float(count) * labels.grid.voxel_ml for label, count in enumerate(counts) if label and count}


def _fatal_problems(ct: Volume, labels: Volume | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    problems = []
    if not ct.grid.same_place(labels.grid):
        problems.append(f"the label map's grid {_told(labels.grid)} is not the image's {_told(ct.grid)}")
    unknown = sorted(set(label_volumes(labels)) - set(LABEL_NAMES))
    if unknown:
        problems.append(f"the label map holds the values {unknown}, expected 0 to {max(LABEL_NAMES)}")
    if not labels.array.any():
        problems.append("the label map is empty")
    return tuple(problems)


def _hints(ct: Volume) -> tuple[str, ...]:
    problems = []
    if min(ct.grid.spacing_mm) < SPACING_MM[0] or max(ct.grid.spacing_mm) > SPACING_MM[1]:
        problems.append(f"odd spacing {_told(ct.grid)}")
    lowest, highest = int(ct.array.min()), int(ct.array.max())
    if lowest > -500 or highest < 200:
        problems.append(f"values {lowest} to {highest} do not look like HU of a whole CT")
    return tuple(problems)


def _odd_volumes(volumes_ml: Mapping[int, float]) -> tuple[str, ...]:
    problems = []
    for label, volume in volumes_ml.items():
        limits = CORE_ORGANS.get(LABEL_NAMES[label])
        if limits is not None and volume > limits.high_ml:
            problems.append(f"{LABEL_NAMES[label]} of {volume:.0f} ml, at most {limits.high_ml:.0f} expected")
    return tuple(problems)


def _swapped_sides(labels: Volume) -> tuple[str, ...]:
    """Right must be right of left: the two kidneys, else liver and spleen."""
    turn = Reorientation.to(labels.grid, "SPL")
    upright = turn.apply(labels.array)
    for right, left in ((RIGHT_KIDNEY, LEFT_KIDNEY), (LIVER, SPLEEN)):
        places = [np.nonzero((upright == label).any(axis=(0, 1)))[0] for label in (right, left)]
        if all(place.size for place in places) and places[0].mean() > places[1].mean():
            return (f"{LABEL_NAMES[right]} lies left of {LABEL_NAMES[left]}: sides swapped, or the header is wrong",)
    return ()


def _statistics(hu: NDArray[Any]) -> HuStatistics:
    low, high = (float(value) for value in np.percentile(hu, (0.5, 99.5)))
    return HuStatistics(low, high, float(hu.mean()), float(hu.std()))


def _told(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape_zyx))} at {', '.join(f'{mm:.3g}' for mm in grid.spacing_mm)} mm"
