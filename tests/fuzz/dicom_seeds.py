"""Small CT series as zips, the same bytes on every machine, one a way of storing them; `dicom_damage.py` damages their files."""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from tests.engine.scans.dicom.series_files import OBLIQUE, Look, save, slice_dataset, write_series

_EXPLICIT, _IMPLICIT, _BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_RLE, _JPEG_LOSSLESS, _JPEG_LS, _JPEG_2000 = ("1.2.840.10008.1.2." + end for end in ("5", "4.70", "4.80", "4.90"))
_ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"
_SLICES = 5


@cache
def series_zips() -> list[bytes]:
    """Classic series in each kind of transfer syntax, and an enhanced one of a single file."""
    classic = [
        _look(_EXPLICIT),
        _look(_IMPLICIT, cosines=OBLIQUE),
        _look(_BIG, slope=0.5, intercept=-1000.25),
        _look(_RLE, signed=True, intercept=0.0),
        *(_look(syntax) for syntax in (_JPEG_LOSSLESS, _JPEG_LS, _JPEG_2000)),
    ]
    return [*(_zipped_series(look) for look in classic), packed_zip({"enhanced": _enhanced(_look(_EXPLICIT))})]


def packed_files(data: bytes) -> dict[str, bytes]:
    """Name -> bytes of the files in a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed_zip(files: dict[str, bytes]) -> bytes:
    """These files in a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _look(syntax: str, **values: Any) -> Look:
    fixed = {"series_uid": "1.2.3.4", "study_uid": "1.2.3.5", "frame_of_reference": "1.2.3.6"}
    return Look(syntax=syntax, change=_numbered, **fixed, **values)


def _numbered(dataset: Any, z: int) -> None:
    dataset.SOPInstanceUID = f"1.2.3.4.{z + 1}"


def _hu(syntax: str) -> np.ndarray:
    shape_yx = (37, 33) if syntax == _JPEG_2000 else (11, 9)  # its encoder takes no smaller ones
    return np.random.default_rng(5).integers(-1000, 400, (_SLICES, *shape_yx)).astype(np.int16)


def _zipped_series(look: Look) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        if look.syntax == _IMPLICIT:  # which the tests' own writer does not make
            for z, hu in enumerate(_hu(look.syntax)):
                dataset = slice_dataset(hu, z, look)
                _numbered(dataset, z)
                (Path(folder) / f"im{z}").write_bytes(_saved(dataset, _IMPLICIT))
        else:
            write_series(Path(folder), _hu(look.syntax), look)
        return packed_zip({path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())})


def _enhanced(look: Look) -> bytes:
    """An enhanced multi-frame CT: geometry in the per-frame groups, spacing and rescale in the shared ones."""
    dataset = slice_dataset(_hu(look.syntax)[0], 0, look)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.NumberOfFrames = _ENHANCED, "1.2.3.4.9", _SLICES
    own, shared = pydicom.Dataset(), pydicom.Dataset()
    own.PixelSpacing, own.SliceThickness = dataset.PixelSpacing, dataset.SliceThickness
    shared.PixelMeasuresSequence = [own]
    rescale = pydicom.Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = look.slope, look.intercept, "HU"
    shared.PixelValueTransformationSequence = [rescale]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames, slices = [], [slice_dataset(hu, z, look) for z, hu in enumerate(_hu(look.syntax))]
    for one in slices:
        frame, position, orientation = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        orientation.ImageOrientationPatient = one.ImageOrientationPatient
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [position], [orientation]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = b"".join(one.PixelData for one in slices)
    for name in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, name)
    return _saved(dataset, _EXPLICIT)


def _saved(dataset: Any, syntax: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        if syntax == _IMPLICIT:
            dataset.file_meta = pydicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(path, enforce_file_format=True)
        else:
            save(path, dataset, syntax)
        return path.read_bytes()
