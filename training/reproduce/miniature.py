"""A miniature of FLARE: phantoms with lesions, most of them partly labelled or not at all, and real CTs where there are some."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.organs import AORTA, LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPLEEN, STOMACH, TUMOUR, VENA_CAVA
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_ct, write_labels
from flare_trt.kernels import Span, load
from flare_trt.training.tumours.held_out import plant_large
from flare_trt.training.tumours.scene import FULL, Scene

SPACING_MM = (8.0, 7.0, 7.0)
#: Lesions that are looked for a place in a phantom, and what they measure at least, mm: three voxels.
LESIONS, LEAST_LESION_MM = 5, 24.0
#: Voxels of an abdomen and of a body from thigh to neck.
ABDOMEN_ZYX, BODY_ZYX = (48, 43, 57), (112, 43, 57)
#: Classes that a partly labelled case shows, in turn: FLARE's sources annotated one or a few organs each.
PARTIAL: tuple[frozenset[int], ...] = (
    frozenset({LIVER, TUMOUR}),
    frozenset({RIGHT_KIDNEY, LEFT_KIDNEY, TUMOUR}),
    frozenset({LIVER, SPLEEN, STOMACH}),
    frozenset({AORTA, VENA_CAVA}),
)
#: A real CT with labels trains, one without is unlabelled.
REAL_LABELS = "seg_flare13.nii.gz"


@dataclass(frozen=True)
class MiniatureSize:
    """Numbers of phantoms: fully labelled, partly labelled, unlabelled, and held out for the figures."""

    complete: int = 3
    partial: int = 6
    unlabelled: int = 6
    held_out: int = 6


def make_miniature(folder: Path, size: MiniatureSize, real: Sequence[Path], seed: int = 0) -> int:
    """Write a FLARE-like download; `real` are folders with ct.nii.gz and maybe labels. Returns the number of cases."""
    for part in ("imagesTr", "labelsTr", "unlabeledTr"):
        (folder / part).mkdir(parents=True)
    count = size.complete + size.partial + size.unlabelled
    for number in range(count):
        shape = BODY_ZYX if number % 3 == 0 else ABDOMEN_ZYX
        known = PARTIAL[number % len(PARTIAL)] if number >= size.complete else None
        labelled = number < size.complete + size.partial
        _write_case(folder, f"phantom_{number:03d}", *phantom(100 * seed + number, shape), known if labelled else frozenset())
    for source in real:
        ct, labels = _coarser(source)
        _write_case(folder, f"real_{source.name}", ct, labels, None if labels.array.any() else frozenset())
    return count + len(real)


def held_out(size: MiniatureSize) -> list[tuple[Volume, Volume]]:
    """Bodies from thigh to neck, with lesions, that nothing was trained on: CT and truth; the same whatever the seed."""
    return [phantom(100_000 + number, BODY_ZYX) for number in range(size.held_out)]


def phantom(seed: int, shape_zyx: tuple[int, int, int]) -> tuple[Volume, Volume]:
    """A phantom about its abdomen, with lesions as the tumours' training plants them."""
    ct, labels = make_phantom(seed, shape_zyx, SPACING_MM, PhantomOptions(centre_mm=20.0))
    scene = Scene(ct.array.astype(np.float32), labels.array, np.full(shape_zyx, FULL, np.uint8), SPACING_MM)
    plant_large(scene, seed, LESIONS, LEAST_LESION_MM)
    return Volume(np.rint(scene.hu).astype(np.int16), ct.grid), Volume(scene.labels, labels.grid)


def _write_case(folder: Path, name: str, ct: Volume, labels: Volume, known: Collection[int] | None) -> None:
    """`known`: the classes that the label map shows; None all, none makes the case unlabelled."""
    shown = labels.array if known is None else np.where(np.isin(labels.array, list(known)), labels.array, 0).astype(np.uint8)
    write_ct(folder / ("imagesTr" if shown.any() else "unlabeledTr") / f"{name}_0000.nii.gz", ct)
    if shown.any():
        write_labels(folder / "labelsTr" / f"{name}.nii.gz", Volume(shown, labels.grid))


def _coarser(source: Path) -> tuple[Volume, Volume]:
    """A real CT and its labels (or none at all) at the miniature's spacing."""
    ct = read_ct(source / "ct.nii.gz")
    file = source / REAL_LABELS
    labels = read_labels(file).array if file.exists() else np.zeros(ct.grid.shape_zyx, np.uint8)
    z, y, x = (max(1, round(n * mm / to)) for n, mm, to in zip(ct.grid.shape_zyx, ct.grid.spacing_mm, SPACING_MM, strict=True))
    spacing = tuple(n * mm / m for n, mm, m in zip(ct.grid.shape_zyx, ct.grid.spacing_mm, (z, y, x), strict=True))
    grid = Grid((z, y, x), (spacing[0], spacing[1], spacing[2]), ct.grid.origin_mm, ct.grid.direction)
    depth, height, width = ct.grid.shape_zyx
    spans = Span.whole(depth, z), Span.whole(height, y), Span.whole(width, x)
    kernels, hu = load("reference"), np.ascontiguousarray(ct.array, np.float32)
    image = kernels.resample_spline(hu, spans, (1, 1, 1), kernels.value_range(hu))
    nearest = kernels.resample_spline(labels.astype(np.float32), spans, (0, 0, 0), (0.0, 255.0))
    return Volume(np.rint(image).astype(np.int16), grid), Volume(np.rint(nearest).astype(np.uint8), grid)
