"""DICOM SR out (TID 1500): volume and HU of each organ, tied to its segment, and the size of each lesion, tied to its frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import InputError, OutputError
from flare_trt.engine.base.organs import Concept, known
from flare_trt.engine.base.version import VERSION
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.results.dicom.codes import PRIVATE_SCHEME, coded
from flare_trt.engine.results.dicom.items import image_reference, names_for
from flare_trt.engine.results.dicom.segmentation import MAKER, SERIES_NUMBER
from flare_trt.engine.results.dicom.stable import Making, series_key, settle, stable_uid
from flare_trt.engine.results.lesions import Lesion, TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.dicom.source import patient_and_study, require_references, save, source_images

#: Concepts of PS3.16: names (CID 7469, CID 218, CID 7470) and derivations (CID 7464, CID 7465).
VOLUME = Concept("118565006", "Volume")
ATTENUATION = Concept("112031", "Attenuation Coefficient", "DCM")
LONG_AXIS, SHORT_AXIS = Concept("103339001", "Long Axis"), Concept("103340004", "Short Axis")
LONGEST_3D = Concept("L0JK", "Maximum 3D Diameter of a Mesh", "IBSI")
DERIVATIONS = {
    "mean_hu": Concept("373098007", "Mean"),
    "std_hu": Concept("386136009", "Standard Deviation"),
    "median_hu": Concept("373099004", "Median"),
    "p10_hu": Concept("371890005", "10th Percentile Value of population"),
    "p90_hu": Concept("371887004", "90th Percentile Value of population"),
}
MILLILITRE = Concept("ml", "milliliter", "UCUM")
MILLIMETRE = Concept("mm", "millimeter", "UCUM")
HOUNSFIELD = Concept("[hnsf'U]", "Hounsfield unit", "UCUM")
_COMPLETENESS = Concept("COMPLETENESS", "Completeness in the scan", PRIVATE_SCHEME)
_WHOLE = Concept("WHOLE", "Whole", PRIVATE_SCHEME)
_ABSENT = Concept("NOTFOUND", "Not found", PRIVATE_SCHEME)
_UNSEEN = Concept("NOTLOOKEDFOR", "Not looked for: no abdomen was found", PRIVATE_SCHEME)
_CUT = Concept("CUT", "Cut by the edge of the scan", PRIVATE_SCHEME)


@dataclass(frozen=True)
class Measured:
    """What goes into the report: labels on the series' grid, and what was measured of them; `looked` as in RunReport."""

    labels: Volume
    organs: Sequence[OrganMeasure]
    tumours: Sequence[TumourMeasure]
    looked: bool = True


def require_coded(spec: ModelSpec) -> None:
    """Refuse, before work begins, a report of structures that no reader could tell. Raises InputError."""
    if not any(known(label.name) for label in spec.labels):
        names = ", ".join(label.name for label in spec.labels)
        raise InputError(
            f"SR: no structure of the model has a SNOMED CT code here ({names}), expected at least one; leave --sr out"
        )


def write_measurement_report(
    path: Path, seg_path: Path, measured: Measured, reader: DicomReader, spec: ModelSpec, making: Making
) -> tuple[str, ...]:
    """Write the report of a DICOM-SEG that lies there already, whole or not at all; returns warnings.

    Raises InputError or OutputError.
    """
    require_coded(spec)
    require_references(reader)
    identity = patient_and_study(reader)
    key = series_key(reader, spec, making)
    spec, warnings = names_for(identity, spec)
    try:
        with quiet():
            seg = library("pydicom").dcmread(seg_path, stop_before_pixels=True)
            groups = list(_Groups(seg, reader, spec, making).of(measured))
            dataset = _report([seg, *_evidence(reader)], groups, spec, key)
    except LIBRARY_ERRORS as error:
        raise OutputError(f"{path}: the SR cannot be made of {seg_path.name} ({type(error).__name__}); leave --sr out") from None
    settle(dataset, reader, key, str(seg.SOPInstanceUID))
    identity.put_into(dataset)
    save(path, dataset)
    return warnings


def _evidence(reader: DicomReader) -> list[Any]:
    """The images that were segmented, each once, as the SR's library wants them."""
    images: dict[str, Any] = {}
    for plane, image in zip(reader.planes, source_images(reader), strict=True):
        image.SOPClassUID, image.SOPInstanceUID = plane.sop_class, plane.sop_uid
        images.setdefault(plane.sop_uid, image)
    return list(images.values())


def _report(evidence: list[Any], groups: list[Any], spec: ModelSpec, key: str) -> Any:
    sr, codes = library("highdicom").sr, library("pydicom.sr.codedict").codes
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=stable_uid("device", MAKER, VERSION), name=MAKER, manufacturer_name=MAKER, model_name=spec.name[:64]
    )
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    dataset = sr.Comprehensive3DSR(
        evidence=evidence,
        content=content[0],
        series_instance_uid=stable_uid(key, "SR", "series"),
        series_number=SERIES_NUMBER + 2,
        sop_instance_uid=stable_uid(key, "SR"),
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    dataset.SeriesDescription = f"{MAKER} {spec.name}"[:64]
    return dataset


@dataclass(frozen=True)
class _Groups:
    """Makes the report's groups of measurements; `spec` has the names that can stand in the file."""

    seg: Any
    reader: DicomReader
    spec: ModelSpec
    making: Making

    def of(self, measured: Measured) -> Iterator[Any]:
        """A group for each organ, found or not, then one for each lesion."""
        for organ in measured.organs:
            yield self._organ(organ) if organ.voxels else self._absent(organ, _ABSENT if measured.looked else _UNSEEN)
        for tumour in measured.tumours:
            for number, lesion in enumerate(tumour.lesions, 1):
                yield _with_one_number(self.seg, self._lesion(tumour.value, number, lesion))

    def _organ(self, organ: OrganMeasure) -> Any:
        sr = library("highdicom").sr
        segment, name = self._segment(organ.value), self.spec.label_names[organ.value]
        codes = coded(name, organ.value)
        complete = sr.QualitativeEvaluation(_code(_COMPLETENESS), _code(_CUT if organ.touches_edge else _WHOLE))
        source_series = sr.SourceSeriesForSegmentation(self.reader.series.uid)
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(segment.TrackingUID, name[:64]),
            referenced_segment=sr.ReferencedSegment(
                self.seg.SOPClassUID, self.seg.SOPInstanceUID, int(segment.SegmentNumber), source_series=source_series
            ),
            finding_category=_code(codes.category),
            finding_type=_code(codes.kind),
            finding_sites=[sr.FindingSite(_code(codes.kind), laterality=_code(codes.side))] if codes.side else None,
            algorithm_id=self._algorithm(),
            measurements=list(_organ_measurements(organ)),
            qualitative_evaluations=[complete],
        )

    def _absent(self, organ: OrganMeasure, why: Concept) -> Any:
        """That an organ was not found, or not looked for; it has no segment to be tied to."""
        sr = library("highdicom").sr
        name = self.spec.label_names[organ.value]
        codes = coded(name, organ.value)
        uid = stable_uid(str(self.seg.SOPInstanceUID), "absent", str(organ.value))
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(uid, name[:64]),
            finding_category=_code(codes.category),
            finding_type=_code(codes.kind),
            finding_sites=[sr.FindingSite(_code(codes.kind), laterality=_code(codes.side))] if codes.side else None,
            algorithm_id=self._algorithm(),
            qualitative_evaluations=[sr.QualitativeEvaluation(_code(_COMPLETENESS), _code(why))],
        )

    def _lesion(self, value: int, number: int, lesion: Lesion) -> Any:
        """On the frame of its longest axial diameter."""
        sr = library("highdicom").sr
        segment, name = self._segment(value), self.spec.label_names[value]
        codes = coded(name, value)
        frame, z = self._frame(int(segment.SegmentNumber), _plane_of(lesion, self.reader))
        plane = self.reader.planes[z]
        image = sr.SourceImageForSegmentation(plane.sop_class, plane.sop_uid, [plane.frame + 1] if plane.multi_frame else None)
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(stable_uid(str(segment.TrackingUID), str(number)), f"{name[:50]} {number}"),
            referenced_segment=sr.ReferencedSegmentationFrame(
                self.seg.SOPClassUID, self.seg.SOPInstanceUID, frame, int(segment.SegmentNumber), image
            ),
            finding_category=_code(codes.category),
            finding_type=_code(codes.kind),
            algorithm_id=self._algorithm(),
            measurements=[
                _measurement(VOLUME, lesion.volume_ml, MILLILITRE),
                _measurement(LONG_AXIS, lesion.longest_axial_mm, MILLIMETRE),
                _measurement(SHORT_AXIS, lesion.perpendicular_mm, MILLIMETRE),
                _measurement(LONGEST_3D, lesion.longest_3d_mm, MILLIMETRE),
            ],
        )

    def _segment(self, value: int) -> Any:
        """The segment's description: segments are numbered in the order of the labels' values."""
        number = sorted(self.spec.label_names).index(value) + 1
        return next(item for item in self.seg.SegmentSequence if item.SegmentNumber == number)

    def _frame(self, segment: int, z: int) -> tuple[int, int]:
        """Number (from 1) of the segmentation's frame of this segment that lies on plane z or nearest to it, and its plane."""
        planes = {_reference(image_reference(plane)): at for at, plane in enumerate(self.reader.planes)}
        found = []
        for number, groups in enumerate(self.seg.PerFrameFunctionalGroupsSequence, 1):
            identified = groups.get("SegmentIdentificationSequence")  # a labelmap's frames hold all segments
            if not identified or identified[0].ReferencedSegmentNumber == segment:
                at = planes[_reference(groups.DerivationImageSequence[0].SourceImageSequence[0])]
                found.append((abs(at - z), number, at))
        _, number, at = min(found)
        return number, at

    def _algorithm(self) -> Any:
        parameters = [self.making.options] if self.making.options else None
        return library("highdicom").sr.AlgorithmIdentification(self.spec.name[:64], VERSION, parameters)


def _reference(item: Any) -> tuple[str, int | None]:
    """What an item refers to: the image, and the frame of it where it has several."""
    frame = item.get("ReferencedFrameNumber")
    return str(item.ReferencedSOPInstanceUID), None if frame is None else int(frame)


def _organ_measurements(organ: OrganMeasure) -> Iterator[Any]:
    yield _measurement(VOLUME, organ.volume_ml, MILLILITRE)
    for field, derivation in DERIVATIONS.items():
        value = getattr(organ, field)
        if value is not None:
            yield _measurement(ATTENUATION, value, HOUNSFIELD, derivation)


def _with_one_number(seg: Any, group: Any) -> Any:
    """Let references to frames of the segmentation name the frame alone, or the segment alone where a frame holds them all.

    PS3.3, table 10-3: no Referenced Segment Number where there is a Referenced Frame Number; highdicom writes both.
    """
    for item in group[0].ContentSequence:
        for reference in item.get("ReferencedSOPSequence") or ():
            if "ReferencedSegmentNumber" in reference and "ReferencedFrameNumber" in reference:
                del reference["ReferencedFrameNumber" if seg.SegmentationType == "LABELMAP" else "ReferencedSegmentNumber"]
    return group


def _plane_of(lesion: Lesion, reader: DicomReader) -> int:
    """The plane of the longest axial diameter; of a series that is not axial, the middle one of the lesion's box.

    Where a tilt was corrected, the slice on which the middle of the box lies at that height.
    """
    z, y, x = ((low + high) // 2 for low, high in zip(lesion.start_zyx, lesion.stop_zyx, strict=True))
    z = lesion.slice_index if reader.grid.axis_along("S") == 0 else z
    return z if reader.tilt is None else reader.tilt.slice_at((z, y, x))


def _measurement(name: Concept, value: float, unit: Concept, derivation: Concept | None = None) -> Any:
    derived = None if derivation is None else _code(derivation)
    return library("highdicom").sr.Measurement(name=_code(name), value=value, unit=_code(unit), derivation=derived)


def _code(concept: Concept) -> Any:
    return library("highdicom").sr.CodedConcept(concept.value, concept.scheme, concept.meaning)
