"""A small FLARE-like download made of phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom

SHAPE_ZYX, SPACING_MM = (34, 41, 46), (9.0, 8.5, 8.0)


@dataclass(frozen=True)
class FolderSpec:
    """Names of the cases with all organs and a tumour, with liver and kidneys only, and without labels."""

    complete: tuple[str, ...] = ("FLARE23_0001", "FLARE23_0002", "FLARE23_0003")
    partial: tuple[str, ...] = ("FLARE23_0004", "FLARE23_0005")
    unlabelled: tuple[str, ...] = ("FLARE23Un_0001",)


def write_nifti(path: Path, array_zyx: np.ndarray, spacing_mm: tuple[float, float, float] = SPACING_MM) -> None:
    """Write a (z, y, x) array whose axes run to superior, posterior and left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array_zyx.transpose(2, 1, 0)), affine), path)


def phantom_arrays(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels of a small abdomen with a tumour in its liver."""
    ct, labels = make_phantom(seed, SHAPE_ZYX, SPACING_MM, PhantomOptions(centre_mm=20.0))
    marked = labels.array.copy()
    z, y, x = (round(float(v)) for v in np.argwhere(marked == 1).mean(0))
    marked[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = 14
    return ct.array, marked


def make_flare_folder(root: Path, spec: FolderSpec) -> Path:
    """Write the folder and return it."""
    for seed, name in enumerate((*spec.complete, *spec.partial, *spec.unlabelled)):
        hu, labels = phantom_arrays(seed)
        folder = "unlabeledTr" if name in spec.unlabelled else "imagesTr"
        write_nifti(root / folder / f"{name}_0000.nii.gz", hu)
        if name in spec.partial:
            labels = np.where(np.isin(labels, (1, 2, 13)), labels, 0).astype(np.uint8)
        if name not in spec.unlabelled:
            write_nifti(root / "labelsTr" / f"{name}.nii.gz", labels)
    return root
