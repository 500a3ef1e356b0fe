"""When and how a plane was acquired, as its header says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from flare_trt.engine.scans.dicom.header import text_of

#: What is read to tell acquisitions apart.
ACQUISITION_TAGS = (
    "AcquisitionNumber",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "TemporalPositionIdentifier",
    "ConvolutionKernel",
    "KVP",
)
_TRAITS = ("TemporalPositionIdentifier", "TemporalPositionIndex", "ConvolutionKernel", "KVP", "ImageType", "FrameType")


@dataclass(frozen=True)
class Acquired:
    """When and how a plane was acquired, by its header; seconds from some day. None and "" where it is not said."""

    number: str = ""
    acquired_s: float | None = None
    content_s: float | None = None
    traits: tuple[str, ...] = ()


def acquired_of(header: Any, attributes: Any) -> Acquired:
    """Of a file's header and a frame's own attributes (the header's again for a file of one image)."""
    number = text_of(attributes, "FrameAcquisitionNumber") or text_of(header, "AcquisitionNumber")
    together = text_of(attributes, "FrameAcquisitionDateTime") or text_of(header, "AcquisitionDateTime")
    apart = text_of(header, "AcquisitionDate"), text_of(header, "AcquisitionTime")
    acquired_s = _seconds(together[:8], together[8:]) if together else _seconds(*apart)
    content_s = _seconds(text_of(header, "ContentDate"), text_of(header, "ContentTime"))
    traits = tuple(text_of(attributes, name) or text_of(header, name) for name in _TRAITS)
    return Acquired(number, acquired_s, content_s, traits)


def _seconds(day: str, time: str) -> float | None:
    """Seconds of a date (may be empty) and a time of DICOM (HHMMSS.FFFFFF, a zone behind it is left out)."""
    clock = time.replace(":", "").split("+")[0].split("-")[0].split("&")[0]
    try:
        whole, _, part = clock.partition(".")
        hours, minutes, seconds = int(whole[:2]), int(whole[2:4] or 0), float(f"{whole[4:6] or 0}.{part or 0}")
        days = date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal() if day else 0
    except ValueError:
        return None
    return days * 86400.0 + hours * 3600 + minutes * 60 + seconds
