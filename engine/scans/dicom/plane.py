"""One image plane of a CT series: what its header says about geometry and values, and nothing about the patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flare_trt.engine.base.grid import Vector
from flare_trt.engine.scans.dicom.acquired import ACQUISITION_TAGS, Acquired, acquired_of
from flare_trt.engine.scans.dicom.header import HeaderError, code_of, decimal, decimals, text_of, uid_of, whole

_ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # Enhanced CT, Legacy Converted Enhanced CT

_CT = "1.2.840.10008.5.1.4.1.1.2"
#: All SOP classes of CT images.
CT_CLASSES = (_CT, *_ENHANCED)
#: RescaleType (PS3.3, C.11.1.1.2), in small letters, of values in HU: as it should be written, and as it is; "us" is unspecified.
_HOUNSFIELD = ("", "hu", "us", "hounsfield", "hounsfield unit", "hounsfield units")
#: Modified Hounsfield units: of virtual images, or after a correction.
_MODIFIED = "hu_mod"
#: The widest pixel that there is a way of storing in DICOM (PS3.5, section 8.1.1).
_MOST_BITS = 64
_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
    "FrameContentSequence",
)

#: What is read of a header. Patient, study descriptions and persons are not among it; times only to tell acquisitions apart.
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
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "LossyImageCompression",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    *ACQUISITION_TAGS,
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class Plane:
    """A plane: frame `frame` (from 0) of file `file`, in LPS and mm; `multi_frame` where the file is an enhanced CT.

    `cosines` are the row's and the column's direction (ImageOrientationPatient). A voxel is stored * slope + intercept, where
    stored are the lowest `bits` of a pixel, the highest of them the sign of `signed` ones (PS3.5, section 8.1.1).
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
    bits: int
    signed: bool
    thickness_mm: float | None
    rescaled: bool
    modified: bool
    lossy: bool
    multi_frame: bool
    acquired: Acquired

    @property
    def stored_range(self) -> tuple[int, int]:
        """What the stored bits can hold."""
        return (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)


@dataclass(frozen=True)
class Unusable:
    """An image of a CT series whose header lacks what is needed; `told` says what."""

    file: int
    told: str


#: A frame, the word for why it is none, or what is wrong with one that ought to be.
Image = Plane | str | Unusable


def planes_of(header: Any, file: int) -> Iterator[Image]:
    """Each frame of a file as a Plane, or why it is none."""
    sop_class, modality = sop_class_of(header), code_of(header, "Modality")
    if modality.upper() == "CT" and not is_ct(header):
        yield f"that are no CT images ({_name(sop_class)})"
    elif not is_ct(header):
        yield f"of modality {modality or 'unknown'}"
    else:
        yield from _ct_planes(header, file, sop_class in _ENHANCED)


def _ct_planes(header: Any, file: int, enhanced: bool) -> Iterator[Image]:
    try:
        if "SamplesPerPixel" in header and whole(header, "SamplesPerPixel") != 1:
            yield "in colour"
            return
        frames = whole(header, "NumberOfFrames") if text_of(header, "NumberOfFrames") else 1
        if not enhanced and frames > 1:
            yield "of several frames without the functional groups of an enhanced CT"
            return
        for frame in range(frames):
            attributes = _frame_attributes(header, frame) if enhanced else header
            yield _plane(header, file, frame, attributes)
    except HeaderError as error:
        yield Unusable(file, str(error))


def _frame_attributes(header: Any, frame: int) -> Any:
    """A frame's attributes, gathered from the shared and the per-frame functional groups."""
    import pydicom

    gathered = pydicom.Dataset()
    own = header.get("PerFrameFunctionalGroupsSequence") or ()
    if frame >= len(own):
        raise HeaderError(f"PerFrameFunctionalGroupsSequence has {len(own)} items, expected one a frame; correct the header")
    for groups in (*(header.get("SharedFunctionalGroupsSequence") or ()), own[frame]):
        for macro in _MACROS:
            for item in groups.get(macro) or ():
                gathered.update(item)
    return gathered


def _plane(header: Any, file: int, frame: int, attributes: Any) -> Plane | str:
    if "LOCALIZER" in (text_of(attributes, "FrameType") or text_of(header, "ImageType")).split("\\"):
        return "that are localizers"
    if not all(text_of(attributes, name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")):
        return "without position, orientation or pixel spacing"
    unit = text_of(attributes, "RescaleType").lower()
    if unit not in (*_HOUNSFIELD, _MODIFIED):
        return f"whose values are not in HU (RescaleType {code_of(attributes, 'RescaleType')})"
    slope, intercept = decimal(attributes, "RescaleSlope"), decimal(attributes, "RescaleIntercept")
    if slope == 0:
        raise HeaderError("RescaleSlope is 0, which makes all values the same; correct the header")
    return Plane(
        file=file,
        frame=frame,
        sop_class=sop_class_of(header),
        sop_uid=uid_of(header, "SOPInstanceUID") or uid_of(header.file_meta, "MediaStorageSOPInstanceUID"),
        frame_of_reference=uid_of(header, "FrameOfReferenceUID"),
        transfer_syntax=uid_of(header.file_meta, "TransferSyntaxUID"),
        shape_yx=(whole(header, "Rows"), whole(header, "Columns")),
        spacing_yx_mm=decimals(attributes, "PixelSpacing", 2),  # type: ignore[arg-type]  # of two, checked
        position_mm=decimals(attributes, "ImagePositionPatient", 3),  # type: ignore[arg-type]
        cosines=decimals(attributes, "ImageOrientationPatient", 6),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        bits=_bits(header),
        signed=bool(whole(header, "PixelRepresentation")),
        thickness_mm=_thickness_mm(attributes),
        rescaled=slope is not None and intercept is not None,
        modified=unit == _MODIFIED,
        lossy=text_of(header, "LossyImageCompression") == "01",
        multi_frame=sop_class_of(header) in _ENHANCED,
        acquired=acquired_of(header, attributes),
    )


def _bits(header: Any) -> int:
    """BitsStored, of the lowest bits of each pixel, as GDCM takes them too. Raises HeaderError for what no pixel has."""
    allocated, stored = whole(header, "BitsAllocated"), whole(header, "BitsStored")
    high = whole(header, "HighBit") if "HighBit" in header else stored - 1
    if not 1 <= stored <= allocated <= _MOST_BITS or high > stored:
        raise HeaderError(
            f"got {allocated} bits allocated, {stored} stored and high bit {high}, expected the lowest bits to be the stored ones; "
            "correct the header"
        )
    return stored


def _thickness_mm(attributes: Any) -> float | None:
    """The slice thickness, None for none and for what is no number: nothing hangs on it."""
    try:
        return decimal(attributes, "SliceThickness")
    except HeaderError:
        return None


def is_ct(header: Any) -> bool:
    """Whether a file is a CT image: the SOP class decides, and where it is not said the modality; both may not contradict."""
    sop_class, modality = sop_class_of(header), text_of(header, "Modality").upper()
    return modality == "CT" if not sop_class else sop_class in CT_CLASSES and modality in ("CT", "")


def sop_class_of(header: Any) -> str:
    """The SOP class of a file."""
    return uid_of(header, "SOPClassUID") or uid_of(header.file_meta, "MediaStorageSOPClassUID")


def _name(sop_class: str) -> str:
    """The standard's name of a SOP class; nothing of one that it does not know."""
    import pydicom.uid

    return pydicom.uid.UID_dictionary[sop_class][0] if sop_class in pydicom.uid.UID_dictionary else "another SOP class"
