"""Enhanced CT with its values in the shared or the per-frame groups, in one file or several (PS3.3, C.7.6.16)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import EnhancedCTImageStorage, generate_uid
from tests.engine.scans.dicom.series_files import Look, save, slice_dataset

#: ImageType of the object and FrameType of each frame.
_KIND = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
_SINGLE = ("PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept")


@dataclass(frozen=True)
class Parts:
    """Which macros stand per frame, and in how many files the frames lie (a concatenation where more than one)."""

    per_frame: tuple[str, ...] = ()
    files: int = 1


def write_enhanced(folder: Path, hu: NDArray[Any], parts: Parts, look: Look | None = None) -> Path:
    """Write the planes as frames, in z order. Returns the folder."""
    look = look or Look()
    folder.mkdir(parents=True)
    concatenation = generate_uid()
    for number, planes in enumerate(np.array_split(np.arange(len(hu)), parts.files), 1):
        slices = [slice_dataset(hu[z], int(z), look) for z in planes]
        whole = slices[0]
        whole.SOPClassUID, whole.NumberOfFrames = EnhancedCTImageStorage, len(planes)
        whole.ImageType = _KIND
        if parts.files > 1:
            whole.ConcatenationUID, whole.InConcatenationNumber = concatenation, number
            whole.InConcatenationTotalNumber, whole.ConcatenationFrameOffsetNumber = parts.files, int(planes[0])
        shared, own = _groups(slices, parts.per_frame)
        whole.PixelData = b"".join(one.PixelData for one in slices)
        for name in (*_SINGLE, "RescaleType"):
            delattr(whole, name)
        whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [shared], own
        save(folder / f"part{number}", whole, "1.2.840.10008.1.2.1")
    return folder


def _groups(slices: list[Any], per_frame: tuple[str, ...]) -> tuple[Any, list[Any]]:
    shared, own = pydicom.Dataset(), [pydicom.Dataset() for _ in slices]
    for source, groups in zip(slices, own, strict=True):
        macros = {
            "PlaneOrientationSequence": ("ImageOrientationPatient",),
            "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
            "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
        }
        for macro, names in macros.items():
            item = pydicom.Dataset()
            for name in names:
                item[name] = source[name]
            setattr(groups if macro in per_frame else shared, macro, [item])
        place, kind = pydicom.Dataset(), pydicom.Dataset()
        place["ImagePositionPatient"] = source["ImagePositionPatient"]
        kind.FrameType = _KIND
        groups.PlanePositionSequence, groups.CTImageFrameTypeSequence = [place], [kind]
    return shared, own
