"""One row of a cohort's table: from a run's report, from a scan that failed, or from labels that lie there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.engine.base.organs import is_tumour
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.results.agreement import organ_agreement
from flare_trt.engine.results.cohort import CaseNumbers, hashed
from flare_trt.engine.results.contrast_phase import contrast_phase
from flare_trt.engine.results.lesions import TumourMeasure, measure_tumour
from flare_trt.engine.results.measures import OrganMeasure, measure_organs
from flare_trt.engine.results.scan_report import ScanReport
from flare_trt.engine.scans.ct_checks import ct_warnings
from flare_trt.engine.scans.dicom.reader import DicomReader
from flare_trt.engine.scans.label_source import NamedLabels, read_named_labels
from flare_trt.engine.scans.scan_reader import SlabReader


@dataclass(frozen=True)
class LabelFiles:
    """The labels of one scan, and a second source to compare with. `names` None: FLARE's, or a DICOM-SEG's own."""

    labels: Path
    other: Path | None = None
    names: Mapping[int, str] | None = None
    model: str = ""


def reported(case: str, report: ScanReport) -> CaseNumbers:
    """The row of a scan that was segmented."""
    return CaseNumbers(
        case=case,
        study_uid=report.study_uid,
        series_uid=report.series_uid,
        model=report.run.model,
        phase=report.phase,
        organs=report.organs,
        tumours=report.tumours,
        warnings=report.warnings,
        looked=report.run.looked,
    )


def measured(
    case: str, source: SlabReader, read: Callable[[SlabReader], Volume], files: LabelFiles, hash_uids: bool = False
) -> CaseNumbers:
    """The row of a scan whose labels lie there. Raises InputError for labels that are on another grid or have no names."""
    labels = read_named_labels(files.labels, files.names, source.grid)  # before the scan: what is wrong is found early
    other = None if files.other is None else read_named_labels(files.other, files.names, source.grid)
    ct = read(source)
    organs, tumours = _measures(ct, labels)
    study_uid, series_uid = uids(source, hash_uids)
    return CaseNumbers(
        case=case,
        study_uid=study_uid,
        series_uid=series_uid,
        model=files.model,
        phase=contrast_phase(organs),
        organs=organs,
        tumours=tumours,
        agreement=() if other is None else organ_agreement(labels.volume, labels.names, other.volume, other.names),
        warnings=source.warnings + ct_warnings(ct),
    )


def uids(source: SlabReader, hash_uids: bool) -> tuple[str, str]:
    """Study and series UID of a DICOM scan, or their hashes; "" for NIfTI."""
    if not isinstance(source, DicomReader):
        return "", ""
    study, series = source.series.study_uid, source.series.uid
    return (hashed(study), hashed(series)) if hash_uids else (study, series)


def _measures(ct: Volume, labels: NamedLabels) -> tuple[tuple[OrganMeasure, ...], tuple[TumourMeasure, ...]]:
    volume = Volume(np.ascontiguousarray(labels.volume.array), ct.grid)
    organs = measure_organs(ct, volume, labels.names)
    return organs, tuple(measure_tumour(ct, volume, organ, organs) for organ in organs if is_tumour(organ.name))
