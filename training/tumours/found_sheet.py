"""Pictures of what a bundle takes for tumour in CTs in which nobody drew any, and of places that may show one (partial.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.organs import is_tumour
from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.results.png import png_bytes
from flare_trt.engine.segmenter import Segmenter
from flare_trt.training.distil.scans import read_upright_ct
from flare_trt.training.tumours.partial import undrawn
from flare_trt.training.tumours.sheet import OUTLINE_RGB, grey_rgb, outline

#: Connected pieces, numbered from 1; 0 is outside.
Numbers = NDArray[np.int32]
#: Slices of each CT; pixels of a picture on each side, to which the middle of a slice is cut, and their size in mm, about.
SLICES, PICTURE, PIXEL_MM = 4, 256, 1.5
PLACE_RGB = (80, 160, 255)


@dataclass(frozen=True)
class FoundInCt:
    """Volumes of the pieces of tumour, the largest first, how many lie in no place, and how many of the places hold some."""

    ct: str
    pieces_ml: tuple[float, ...]
    elsewhere: int
    places_found: int
    places: int


def write_found_sheet(bundle: Path, cts: Sequence[Path], path: Path, threads: int = 1) -> list[FoundInCt]:
    """Segment each CT (mode exact) and write a PNG: a row a CT, through its largest pieces and then through places without any.

    Tumour is outlined red, places blue. CTs are known by their folder's name.
    """
    rows, found = list[NDArray[np.uint8]](), list[FoundInCt]()
    with Segmenter.open(bundle, RunOptions(mode="exact", device="cpu", threads=threads)) as segmenter:
        values = [label.value for label in segmenter.spec.labels if is_tumour(label.name)]
        for file in cts:
            ct, name = read_upright_ct(file), file.parent.name
            pieces, _ = label_pieces(np.isin(segmenter.segment(ct).labels.array, values))
            places, _ = label_pieces(undrawn(name, ct.grid.shape_zyx, ct.grid.spacing_mm))
            found.append(_counted(name, pieces, places, ct.grid.voxel_ml))
            rows.append(np.concatenate([_picture(ct, pieces, places, z) for z in _slices(pieces, places)], 1))
    with atomic_file(path) as out:
        out.write(png_bytes(np.concatenate(rows, 0)))
    return found


def _counted(ct: str, pieces: Numbers, places: Numbers, voxel_ml: float) -> FoundInCt:
    sizes, both = np.bincount(pieces.ravel())[1:], (pieces > 0) & (places > 0)
    in_places, with_some = (len(np.unique(numbers[both])) for numbers in (pieces, places))
    pieces_ml = tuple(round(float(size) * voxel_ml, 1) for size in sorted(sizes)[::-1])
    return FoundInCt(ct, pieces_ml, len(sizes) - in_places, with_some, int(places.max()))


def _slices(pieces: Numbers, places: Numbers) -> list[int]:
    """Where each of the largest pieces is largest, then each of the largest places that hold none, then some of the scan."""
    chosen = list[int]()
    for numbers in (pieces, places):
        sizes = np.bincount(numbers.ravel())[1:]
        for number, cut in sorted(enumerate(piece_cuts(numbers), 1), key=lambda piece: -sizes[piece[0] - 1]):
            part = numbers[cut] == number
            if numbers is pieces or not pieces[cut][part].any():
                chosen.append(cut[0].start + int(part.sum((1, 2)).argmax()))
    chosen += [len(pieces) * (part + 1) // (SLICES + 1) for part in range(SLICES)]
    return list(dict.fromkeys(chosen))[:SLICES]


def _picture(ct: Volume, pieces: Numbers, places: Numbers, z: int) -> NDArray[np.uint8]:
    every: Any = (z, *(slice(None, None, max(1, round(PIXEL_MM / mm))) for mm in ct.grid.spacing_mm[1:]))
    picture = grey_rgb(np.asarray(ct.array[every], np.float32))
    picture[outline(places[every] > 0)] = PLACE_RGB
    picture[outline(pieces[every] > 0)] = OUTLINE_RGB
    framed = np.zeros((PICTURE, PICTURE, 3), np.uint8)
    height, width = (min(PICTURE, size) for size in picture.shape[:2])
    y, x = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    framed[:height, :width] = picture[y : y + height, x : x + width]
    return framed
