"""A scan turned to the orientation of the default model's bundle: nnU-Net takes scans as they are stored, a bundle turns them."""

from __future__ import annotations

from pathlib import Path

from flare_trt.engine.base.volume import Volume, turned
from flare_trt.engine.scans.image_files import read_ct

ORIENTATION = "SPL"


def turned_scan(ct: Path) -> Volume:
    """The scan with slices from below upwards, rows from front to back, voxels from right to left; no voxel changes."""
    return turned(read_ct(ct), ORIENTATION)
