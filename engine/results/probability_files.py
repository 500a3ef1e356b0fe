"""Class probabilities as nnU-Net saves them: CASE.npz, and CASE.pkl with what its nnUNetv2_ensemble needs to write labels.

The npz holds `probabilities`, float32 (class, z, y, x) in the axes of the model's image reader, deflated as by
numpy.savez_compressed; it is written part by part. Sources: nnunetv2/inference/export_prediction.py, nnunetv2/imageio.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.probabilities import Probabilities
from flare_trt.engine.model.spec import ImageReader
from flare_trt.kernels import Box

ENDING = ".npz"
#: Deflate's quickest level: softmax packs to a few per cent at any, and the others take several times as long.
_LEVEL = 1
_PART_BYTES = 16 << 20


def properties_file(path: Path) -> Path:
    """The .pkl file that goes with a .npz file."""
    return path.with_suffix(".pkl")


def write_probabilities(path: Path, kept: Probabilities, reader: ImageReader) -> tuple[str, ...]:
    """Write both files; no warnings. `reader` is the model's. Raises OutputError."""
    grid = kept.axes.reader.grid(kept.axes.grid)
    with (
        atomic_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        archive.open("probabilities.npy", "w", force_zip64=True) as member,
    ):
        shape = (kept.channels, *grid.shape_zyx)
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for channel in range(kept.channels):
            for part in _parts(grid):
                block = kept.read(channel, kept.axes.reader.undo_box(part, kept.axes.grid.shape_zyx))
                member.write(np.ascontiguousarray(kept.axes.reader.apply(block), "<f4").data)
    with atomic_file(properties_file(path)) as file:
        pickle.dump(_properties(kept.axes.grid, grid, reader), file)
    return ()


def _parts(grid: Grid) -> list[Box]:
    depth, height, width = grid.shape_zyx
    step = max(1, _PART_BYTES // (4 * height * width))
    return [grid.whole.along(0, z, min(depth, z + step)) for z in range(0, depth, step)]


def _properties(stored: Grid, read: Grid, reader: ImageReader) -> dict[str, Any]:
    """What nnU-Net's readers note of a scan, in plain lists: `stored` is the file's grid, `read` that of the reader's array."""
    found: dict[str, Any] = {"spacing": list(read.spacing_mm)}
    if reader.startswith("Nibabel"):
        found["nibabel_stuff"] = {"original_affine": stored.ras_affine.tolist(), "reoriented_affine": read.ras_affine.tolist()}
        return found
    found["sitk_stuff"] = {
        "spacing": read.spacing_mm[::-1],
        "origin": read.origin_mm,
        "direction": tuple(value for row in read.direction for value in row),
        "original_orientation": stored.orientation[::-1],
    }
    return found
