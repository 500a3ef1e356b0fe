"""Small phantom scans of different sizes, for what is done many times over."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.nifti import write_ct

_SPACING_MM = (7.0, 8.0, 8.5)


def write_small_scans(folder: Path, count: int) -> list[Path]:
    """Write `count` CTs of some 60,000 voxels each into a folder."""
    scans = [folder / f"phantom{seed}.nii.gz" for seed in range(count)]
    for seed, scan in enumerate(scans):
        write_ct(scan, make_phantom(seed, (31 + seed, 43, 47 - seed), _SPACING_MM)[0])
    return scans
