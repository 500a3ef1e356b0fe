"""CTs that int8 networks are calibrated on, and the patches of them that networks see: some for the ranges, others held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import ExportError, FlareError
from flare_trt.engine.base.files import files_with
from flare_trt.engine.base.grid import Shape
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import StageSpec
from flare_trt.engine.passes.input_planes import ImageSource, InputPlanes
from flare_trt.engine.passes.pass_memory import Layout
from flare_trt.engine.passes.pass_plan import plan_pass
from flare_trt.engine.passes.scan_view import ScanView, at_spacing_of
from flare_trt.engine.scans.ct_checks import ct_warnings, require_body_size
from flare_trt.engine.scans.image_files import ENDINGS
from flare_trt.engine.scans.open_scan import is_dicom, open_scan
from flare_trt.engine.scans.scan_reader import whole_ct
from flare_trt.kernels import load_host

#: Patches that ranges are taken on, and as many held out: each runs in fp32 once.
PATCHES = 12
_CHUNK_PLANES = 8
Patch = NDArray[np.float32]


@dataclass(frozen=True)
class Patches:
    """What a network sees of the CTs, (1, c, z, y, x) each: for the ranges of int8, and held out for comparing labels."""

    calibration: tuple[Patch, ...]
    held_out: tuple[Patch, ...]


def calibration_scans(folder: Path) -> list[Path]:
    """The scans of a folder: image files, or else DICOM series in folders and zips of their own.

    Each is read once, before an export takes minutes. Raises ExportError where there is none, or one is no CT.
    """
    if not folder.is_dir():
        raise ExportError(f"--calibrate: got {folder}, expected a folder of CTs")
    found = files_with(folder, ENDINGS) or sorted(entry for entry in folder.iterdir() if is_dicom(entry))
    if not found:
        raise ExportError(f"--calibrate: {folder} holds no scan, expected CTs as {', '.join(ENDINGS)} or DICOM series in folders")
    for scan in found:
        _read(scan)
    return found


def patches_of(scans: Sequence[Path], stage: StageSpec, tell: Callable[[str], None]) -> Patches:
    """Every second CT is held out; of a single one, every second patch. `stage` is as mode fast runs it.

    Raises ExportError where there are fewer than two patches.
    """
    most = -(-2 * PATCHES // len(scans))
    found = []
    for scan in scans:
        tell(f"{scan.name}: cut into patches of {' x '.join(map(str, stage.patch_zyx))} voxels")
        found.append(_patches(_read(scan), stage, most))
    if len(found) == 1:
        found = [found[0][::2], found[0][1::2]]
    groups = [[patch for patches in found[first::2] for patch in patches][:PATCHES] for first in (0, 1)]
    if not all(groups):
        raise ExportError(f"--calibrate: got one patch of {scans[0].name}, expected two at the least, one held out; add a CT")
    return Patches(tuple(groups[0]), tuple(groups[1]))


def _read(path: Path) -> Volume:
    try:
        ct = whole_ct(open_scan(path))
        require_body_size(ct.grid)
    except FlareError as error:
        raise ExportError(f"--calibrate: {error}") from error
    if warnings := ct_warnings(ct):
        raise ExportError(f"--calibrate: {path}: does not look like a CT: {'; '.join(warnings)}; take it out of the folder")
    return ct


def _patches(ct: Volume, stage: StageSpec, most: int) -> list[Patch]:
    """At most so many patches, spread over the tiles of a scan that hold about as much contrast as the richest: air holds none."""
    contrast = {corner: float(tile.std()) for corner, tile in _tiles(ct, stage)}
    rich = [corner for corner, value in contrast.items() if value >= max(contrast.values()) / 2]
    chosen = {rich[round(place)] for place in np.linspace(0, len(rich) - 1, min(most, len(rich)))}
    return [tile for corner, tile in _tiles(ct, stage) if corner in chosen]


def _tiles(ct: Volume, stage: StageSpec) -> Iterator[tuple[Shape, Patch]]:
    """All tiles of a scan that hardly overlap, with their corners."""
    view, kernels = ScanView.of(ct, stage), load_host()
    plan = plan_pass(replace(at_spacing_of(view, stage), tile_step=1.0), view, view.whole)
    depth = stage.patch_zyx[0]
    planes = InputPlanes(ImageSource.of(view, stage.inputs, kernels), plan, kernels, Layout(depth, _CHUNK_PLANES))
    for z in plan.starts_zyx[0]:
        planes.ensure(z + depth)
        for y in plan.starts_zyx[1]:
            for x in plan.starts_zyx[2]:
                yield (z, y, x), planes.tile((z, y, x))
