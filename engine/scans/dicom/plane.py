"""One image plane of a CT series: what its header says about geometry and values, and nothing about the patient."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from flare_trt.engine.base.grid import Vector

_ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # Enhanced CT, Legacy Converted Enhanced CT

#: The widest pixel that there is a way of storing in DICOM (PS3.5, section 8.1.1).
_MOST_BITS = 64
_UID, _CODE = r"[0-9.]{0,64}", r"[A-Z0-9_ ]{0,16}"
_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
)

#: What is read of a header. Patient, study descriptions, dates and persons are not among it.
TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "SliceThickness",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "LossyImageCompression",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class Plane:
    """A plane: frame `frame` (from 0) of file `file`, in LPS and mm; `multi_frame` where the file is an enhanced CT.

    `cosines` are the row's and the column's direction (ImageOrientationPatient). A voxel is stored * slope + intercept;
    `stored_range` is what its stored bits can hold.
    """

    file: int
    frame: int
    sop_class: str
    sop_uid: str
    frame_of_reference: str
    transfer_syntax: str
    shape_yx: tuple[int, int]
    spacing_yx_mm: tuple[float, float]
    position_mm: Vector
    cosines: tuple[float, ...]
    slope: float
    intercept: float
    stored_range: tuple[int, int]
    thickness_mm: float | None
    rescaled: bool
    lossy: bool
    multi_frame: bool


def planes_of(header: Any, file: int) -> Iterator[Plane | str]:
    """Each frame of a file as a Plane, or as the word for why it is none. Raises ValueError and the like for damaged values."""
    if header.get("Modality") != "CT":
        yield f"of modality {_checked(header.get('Modality'), _CODE) or 'unknown'}"
        return
    if header.get("Rows") is None or header.get("Columns") is None:
        yield "without pixels"
        return
    if header.get("SamplesPerPixel") != 1 or header.get("PhotometricInterpretation") != "MONOCHROME2":
        yield "in colour or inverted (not MONOCHROME2)"
        return
    if _sop_class(header) in _ENHANCED:
        yield from (_frame_plane(header, file, frame) for frame in range(int(header.NumberOfFrames)))
    elif int(header.get("NumberOfFrames") or 1) > 1:
        yield "of several frames without the functional groups of an enhanced CT"
    else:
        yield _plane(header, file, 0, header, header.get("ImageType"))


def _frame_plane(header: Any, file: int, frame: int) -> Plane | str:
    """A frame's attributes, gathered from the shared and the per-frame functional groups."""
    import pydicom

    gathered = pydicom.Dataset()
    own = header.PerFrameFunctionalGroupsSequence[frame]
    for groups in (*header.get("SharedFunctionalGroupsSequence", ()), own):
        for macro in _MACROS:
            for item in groups.get(macro, ()):
                gathered.update(item)
    return _plane(header, file, frame, gathered, gathered.get("FrameType"))


def _plane(header: Any, file: int, frame: int, attributes: Any, image_type: Any) -> Plane | str:
    if image_type is not None and "LOCALIZER" in image_type:
        return "that are localizers"
    position, cosines, spacing = (
        attributes.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    if not position or not cosines or not spacing:
        return "without position, orientation or pixel spacing"
    if attributes.get("RescaleType") not in (None, "", "HU", "US"):
        return "whose values are not in HU (RescaleType)"
    slope, intercept, thickness = (attributes.get(name) for name in ("RescaleSlope", "RescaleIntercept", "SliceThickness"))
    bits, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    if not 1 <= bits <= _MOST_BITS:
        raise ValueError("got another number of stored bits than a pixel can have")
    return Plane(
        file=file,
        frame=frame,
        sop_class=_sop_class(header),
        sop_uid=uid_of(header, "SOPInstanceUID") or uid_of(header.file_meta, "MediaStorageSOPInstanceUID"),
        frame_of_reference=uid_of(header, "FrameOfReferenceUID"),
        transfer_syntax=uid_of(header.file_meta, "TransferSyntaxUID"),
        shape_yx=(int(header.Rows), int(header.Columns)),
        spacing_yx_mm=_numbers(spacing, 2),
        position_mm=_numbers(position, 3),
        cosines=_numbers(cosines, 6),
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        stored_range=(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1),
        thickness_mm=None if thickness is None else float(thickness),
        rescaled=slope is not None and intercept is not None,
        lossy=str(header.get("LossyImageCompression") or "00") == "01",
        multi_frame=_sop_class(header) in _ENHANCED,
    )


def uid_of(header: Any, name: str) -> str:
    """A UID of a header, "" for none. Raises ValueError for text that is no UID: a damaged length makes it hold what follows."""
    return _checked(header.get(name), _UID)


def _checked(value: Any, pattern: str) -> str:
    text = str(value or "")
    if re.fullmatch(pattern, text) is None:
        raise ValueError("got text that does not fit its kind")
    return text


def _sop_class(header: Any) -> str:
    return uid_of(header, "SOPClassUID") or uid_of(header.file_meta, "MediaStorageSOPClassUID")


def _numbers(values: Any, count: int) -> Any:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError("got other than the expected count of finite numbers")
    return numbers
