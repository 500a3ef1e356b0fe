"""The report of one scan: what was found, how, at what cost. Written as JSON or as a page, by the file's ending.

It names the scan and its labels by their file names alone: a folder, and a header's free text, may name a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.base.grid import Shape, Vector
from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.results.contrast_phase import NO_PHASE, ContrastPhase
from flare_trt.engine.results.lesions import TumourMeasure
from flare_trt.engine.results.measures import OrganMeasure
from flare_trt.engine.results.memory_curve import MemoryCurve

#: So many lesions of a tumour label, the largest, have a picture in the page.
_PICTURED_LESIONS = 10


@dataclass(frozen=True)
class ScanReport:
    """Everything worth keeping about one segmented scan, JSON-ready. `warnings` holds all there are, the run's too."""

    scan: str
    labels: str
    shape_zyx: Shape
    spacing_mm: Vector
    orientation: str
    organs: tuple[OrganMeasure, ...]
    tumours: tuple[TumourMeasure, ...]
    licence: str  # of the model's weights
    run: RunReport
    memory: MemoryCurve
    warnings: tuple[str, ...]
    study_uid: str = ""  # or its hash (cohort.hashed), as the series'; "" for NIfTI
    series_uid: str = ""
    phase: ContrastPhase = NO_PHASE

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for json.dumps."""
        return asdict(self)


def linked_slices(organs: Sequence[OrganMeasure], tumours: Sequence[TumourMeasure]) -> tuple[int, ...]:
    """The axial slices that a page's tables lead to: where each organ, and each of the largest lesions, is largest."""
    lesions = (lesion.slice_index for tumour in tumours for lesion in tumour.lesions[:_PICTURED_LESIONS])
    return tuple(sorted({*(organ.slice_index for organ in organs if organ.slice_index is not None), *lesions}))


def is_page(path: Path | None) -> bool:
    """Whether a report is to be a page, which needs pictures."""
    return path is not None and path.suffix.lower() == ".html"
