"""Image files by their endings: NIfTI by our own reader and writer, the others by itk_files.py; nothing else tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.files import has_ending
from flare_trt.engine.base.label_types import MOST_LABEL
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans import itk_files, nifti
from flare_trt.engine.scans.scan_reader import SlabReader, whole_ct

#: Names of the files that are read and written; the first is that of results whose scan has no such name.
ENDINGS = (".nii.gz", ".nii", *itk_files.ENDINGS)


def open_image(path: Path | str) -> SlabReader:
    """The reader of a file; a name without a known ending is taken for NIfTI. Raises InputError."""
    return itk_files.ItkReader(path) if has_ending(Path(path), itk_files.ENDINGS) else nifti.NiftiReader(path)


def ending_of(path: Path) -> str:
    """The file's ending out of ENDINGS; the first of them where it has none of these.

    >>> ending_of(Path("CT.NRRD")), ending_of(Path("study.zip"))
    ('.nrrd', '.nii.gz')
    """
    return next((ending for ending in ENDINGS if has_ending(path, (ending,))), ENDINGS[0])


def read_ct(path: Path | str) -> Volume:
    """Read a CT in HU: int16 where nothing is lost, else float32. Raises InputError (see NiftiReader, ItkReader and ct_volume)."""
    return whole_ct(open_image(path))


def read_labels(path: Path | str) -> Volume:
    """Read a label map as uint8, or uint16 where a label is above 255. Raises InputError for a value that is no label."""
    reader = open_image(path)
    array: NDArray[Any] = np.empty(reader.grid.shape_zyx, np.uint8)
    for z, slab in reader.slabs():
        if array.dtype == np.uint8 and slab.max(initial=0) > 255:
            array = array.astype(np.uint16)
        labels = array[z : z + len(slab)]
        np.copyto(labels, slab.clip(0, MOST_LABEL if slab.dtype.kind == "f" else None), casting="unsafe")
        if not np.array_equal(labels, slab):
            value = slab[labels != slab].flat[0]
            raise InputError(f"{path}: got the value {value:g}, expected labels: whole numbers 0 to {MOST_LABEL}")
    if isinstance(reader, nifti.NiftiReader) and reader.no_numbers:
        raise InputError(f"{path}: got NaN or infinity, expected labels: whole numbers 0 to {MOST_LABEL}")
    return Volume(array, reader.grid)


def write_labels(path: Path | str, labels: Volume, source: SlabReader | None = None) -> None:
    """Write uint8 or uint16 labels in the name's format, whole or not at all. NIfTI gets affines and codes of a NIfTI `source`.

    Raises OutputError.
    """
    if has_ending(Path(path), itk_files.ENDINGS):
        itk_files.write_itk_labels(Path(path), labels)
    elif has_ending(Path(path), ENDINGS):
        nifti.write_labels(path, labels, source.header if isinstance(source, nifti.NiftiReader) else None)
    else:
        raise OutputError(f"{path}: expected a name that ends in {' or '.join(ENDINGS)}")
