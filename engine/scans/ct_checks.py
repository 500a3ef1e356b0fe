"""Whether a scan looks like a CT in Hounsfield units. What looks wrong triggers a warning and is never corrected in silence.

In HU air is -1000 and water 0, so that a body CT holds air or lung, much soft tissue between -150 and 150, and hardly a voxel
at 874 to 1174, where soft tissue comes to lie when a scanner's offset of 1024 was left in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.volume import Volume

#: Every n-th voxel of each axis is looked at, so that the check costs about a hundredth of reading the scan.
_STRIDE = 5
#: Below this a voxel holds air or lung (which ends at about -500); fat starts at -190.
_AIR_HU = -200
#: Most lung lies below this.
_LUNG_HU = -750
_TISSUE_HU = (-150, 150)
#: Share of voxels that soft tissue takes at the least; a body fills 20 to 90 % of its scan, and bone over 874 HU under 1 %.
_LEAST_TISSUE = 0.03
_OFFSET_HU = 1024
#: Usual voxel of a body CT, mm; outside this the unit or the header is likely wrong.
_VOXEL_MM = (0.2, 15.0)
#: No scan of a body is larger, mm: the longest axis (whole body: 2 m), and the other two (the widest bore: 0.9 m).
_MOST_EXTENT_MM = (3000.0, 1500.0)
#: What an abdominal scan covers at the least along each axis, mm.
_LEAST_EXTENT_MM = 40.0


def ct_warnings(ct: Volume) -> tuple[str, ...]:
    """What about this scan does not look like a CT in HU, in words; empty where all is well."""
    return _value_warnings(ct) + _grid_warnings(ct.grid)


def require_body_size(grid: Grid) -> None:
    """Refuse a grid larger than any body: resampled to a network's spacing it would take any amount of memory and time.

    Raises InputError.
    """
    extent = grid.extent_mm
    longest, second, _ = sorted(extent, reverse=True)
    if longest > _MOST_EXTENT_MM[0] or second > _MOST_EXTENT_MM[1]:
        covered = " x ".join(f"{mm / 1000:.3g}" for mm in extent)
        spacing = " x ".join(f"{mm:g}" for mm in grid.spacing_mm)
        most = " and ".join(f"{mm / 1000:g}" for mm in _MOST_EXTENT_MM)
        raise InputError(
            f"the scan covers {covered} m (z, y, x) with voxels of {spacing} mm, expected at most {most} m along its two longest "
            "axes; correct the header"
        )


def _value_warnings(ct: Volume) -> tuple[str, ...]:
    lowest, highest = ct.value_range
    every = slice(None, None, _STRIDE)
    sample = np.ascontiguousarray(ct.on_host((every, every, every)))
    low, high = _TISSUE_HU
    held = f"values run from {lowest:g} to {highest:g}"
    if lowest >= 0 and highest <= 255:
        return (f"{held}: this looks like 8-bit data (a windowed image or labels), not HU; convert the original scan",)
    if _is_raised(sample):
        return (f"{held}: this looks like HU + {_OFFSET_HU} (the rescale intercept was left out); convert the scan again",)
    if lowest >= _AIR_HU:
        return (f"{held}: no voxel is air, so this looks like MR, or like a CT that is not in HU; do not trust the labels",)
    if _share(sample, low, high) < _LEAST_TISSUE:
        return (f"{held}, and few of them lie between {low} and {high} HU, where soft tissue is; check the conversion",)
    return ()


def _is_raised(sample: NDArray[Any]) -> bool:
    """Whether tissue lies where HU + 1024 puts it, with no air where HU has it, and little in the gap between lung and fat."""
    tissue = _share(sample, _TISSUE_HU[0] + _OFFSET_HU, _TISSUE_HU[1] + _OFFSET_HU)
    air = _share(sample, -_OFFSET_HU, _AIR_HU)
    gap = _share(sample, _LUNG_HU + _OFFSET_HU, _AIR_HU + _OFFSET_HU)
    return tissue >= _LEAST_TISSUE and tissue > air and tissue > gap


def _share(values: NDArray[Any], low: float, high: float) -> float:
    return float(np.mean((values > low) & (values < high)))


def _grid_warnings(grid: Grid) -> tuple[str, ...]:
    found = []
    low, high = _VOXEL_MM
    spacing = " x ".join(f"{mm:g}" for mm in grid.spacing_mm)
    if min(grid.spacing_mm) < low or max(grid.spacing_mm) > high:
        found.append(f"the voxel is {spacing} mm (z, y, x), a body CT's is {low:g} to {high:g} mm; check the header's unit")
    extent = grid.extent_mm
    if min(extent) < _LEAST_EXTENT_MM:
        covered = " x ".join(f"{mm:.0f}" for mm in extent)
        found.append(f"the scan covers {covered} mm (z, y, x), less than an organ; expect little of it")
    return tuple(found)
