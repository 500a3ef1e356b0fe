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

Mask = NDArray[np.bool_]
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
            tumour = np.isin(segmenter.segment(ct).labels.array, values)
            places = undrawn(name, ct.grid.shape_zyx, ct.grid.spacing_mm)
            found.append(_counted(name, tumour, places, ct.grid.voxel_ml))
            rows.append(np.concatenate([_picture(ct, tumour, places, z) for z in _slices(tumour, places)], 1))
    with atomic_file(path) as out:
        out.write(png_bytes(np.concatenate(rows, 0)))
    return found


def _counted(ct: str, tumour: Mask, places: Mask, voxel_ml: float) -> FoundInCt:
    pieces, _ = label_pieces(tumour)
    sizes = np.bincount(pieces.ravel())[1:]
    inside = len(np.unique(pieces[tumour & places]))
    balls, count = label_pieces(places)
    hit = len(np.unique(balls[tumour & places]))
    return FoundInCt(ct, tuple(round(float(size) * voxel_ml, 1) for size in sorted(sizes)[::-1]), len(sizes) - inside, hit, count)


def _slices(tumour: Mask, places: Mask) -> list[int]:
    """Where each of the largest pieces is largest, then the middles of places that hold none, then the middle of the scan."""
    chosen = list[int]()
    for mask in (tumour, places):
        pieces, _ = label_pieces(mask)
        cuts = sorted(enumerate(piece_cuts(pieces), 1), key=lambda piece: -np.count_nonzero(pieces[piece[1]] == piece[0]))
        for number, cut in cuts:
            part = pieces[cut] == number
            if mask is tumour or not tumour[cut][part].any():
                chosen.append(cut[0].start + int(part.sum((1, 2)).argmax()))
    chosen += [len(tumour) * (part + 1) // (SLICES + 1) for part in range(SLICES)]
    return list(dict.fromkeys(chosen))[:SLICES]


def _picture(ct: Volume, tumour: Mask, places: Mask, z: int) -> NDArray[np.uint8]:
    every: Any = (z, *(slice(None, None, max(1, round(PIXEL_MM / mm))) for mm in ct.grid.spacing_mm[1:]))
    picture = grey_rgb(np.asarray(ct.array[every], np.float32))
    picture[outline(places[every])] = PLACE_RGB
    picture[outline(tumour[every])] = OUTLINE_RGB
    framed = np.zeros((PICTURE, PICTURE, 3), np.uint8)
    height, width = (min(PICTURE, size) for size in picture.shape[:2])
    y, x = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    framed[:height, :width] = picture[y : y + height, x : x + width]
    return framed
