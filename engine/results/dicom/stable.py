"""UIDs and dates that follow from what an output is made of, so that the same run makes the same file, byte for byte.

An archive that is sent a repeat keeps one. A series' UID follows from the source series and its images, the model (its spec, which
holds the networks' checksums), the version and the options; an object's UID from these and the labels too: where another machine
rounds otherwise, the labels differ and so does the UID. Dates are the source's: a repeat on another day is the same object.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import source_moment

#: The name space of this project's UIDs, itself of the name below.
_SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "flare-trt")


#: How a DICOM-SEG stores its segments: one bit a pixel and segment (read everywhere), or a label a pixel (PS3.3 of 2024).
SegType = Literal["binary", "labelmap"]


@dataclass(frozen=True)
class Making:
    """How labels were made, beside the model: the options that they depend on, in words; and how a DICOM-SEG stores them."""

    options: str = ""
    seg_type: SegType = "binary"

    @staticmethod
    def of(run: RunReport, seg_type: SegType) -> Making:
        """The making of a run."""
        return Making(f"mode={run.mode} mirror={run.mirror} backend={run.backend} precision={run.precision}", seg_type)


#: Labels of which nothing more is known than their model.
UNTOLD = Making()


def stable_uid(*parts: str) -> str:
    """A UID under 2.25 (PS3.5, B.2) that follows from words.

    >>> stable_uid("a", "b") == stable_uid("a", "b") != stable_uid("ab")
    True
    """
    return f"2.25.{uuid.uuid5(_SPACE, json.dumps(parts)).int}"


def series_key(reader: DicomReader, spec: ModelSpec, making: Making) -> str:
    """What the UIDs of all outputs of one run on one series follow from."""
    model = hashlib.sha256(json.dumps(asdict(spec), sort_keys=True).encode()).hexdigest()
    images = hashlib.sha256("\n".join(f"{plane.sop_uid}/{plane.frame}" for plane in reader.planes).encode()).hexdigest()
    return stable_uid("run", reader.series.uid, images, model, VERSION, making.options)


def content_key(labels: NDArray[Any]) -> str:
    """What an object's own UID follows from beside: its labels."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()


def settle(dataset: Any, reader: DicomReader, key: str, content: str) -> None:
    """Give a finished dataset its stable UIDs and dates, its file meta too; `key` is a `series_key`, `content` a `content_key`."""
    kind = str(dataset.Modality)
    dataset.SeriesInstanceUID = stable_uid(key, kind, "series")
    dataset.SOPInstanceUID = stable_uid(key, kind, "object", str(dataset.SOPClassUID), content)
    if dataset.get("file_meta") is not None and "MediaStorageSOPInstanceUID" in dataset.file_meta:
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for segment in dataset.get("SegmentSequence") or ():
        if "TrackingUID" in segment:
            segment.TrackingUID = stable_uid(key, "segment", str(segment.SegmentNumber))
    organization = stable_uid(key, kind, "dimensions")
    for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(name) or ():
            item.DimensionOrganizationUID = organization
    date, time = source_moment(reader)
    for item in dataset.get("ContributingEquipmentSequence") or ():
        item.ContributionDateTime = date + time
    for name in ("InstanceCreation", "Content", "StructureSet", "Series"):
        if f"{name}Date" in dataset:
            setattr(dataset, f"{name}Date", date)
        if f"{name}Time" in dataset:
            setattr(dataset, f"{name}Time", time)
