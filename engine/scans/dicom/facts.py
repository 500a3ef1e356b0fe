"""What a person chooses a series by: kernel, phase, orientation, spacing, and why one cannot be used.

The series' description is free text that may name a patient: `flare-trt list` prints it for the person who asks, and words for the
contrast phase are looked for in it; it goes into no message, report or label file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.grid import Shape, Vector
from flare_trt.engine.scans.dicom.found_files import damaged
from flare_trt.engine.scans.dicom.library import LIBRARY_ERRORS, library, quiet
from flare_trt.engine.scans.dicom.part10 import opened
from flare_trt.engine.scans.dicom.reader import regular_planes
from flare_trt.engine.scans.dicom.series import Series, all_series
from flare_trt.engine.scans.dicom.stack import gap_mm

Phase = Literal["none", "arterial", "portal-venous", "delayed"]

#: What is read of a header beside plane.TAGS.
_TAGS = (
    "SeriesDescription",
    "ProtocolName",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ImageType",
    "Modality",
    "SpecificCharacterSet",
    "SharedFunctionalGroupsSequence",
)
#: A normal within 25 degrees of a patient axis is called by it; a tilted gantry (30 degrees at most) is mostly well below.
_NEAR_AXIS = float(np.cos(np.radians(25)))
_NO_AGENT = ("", "none", "no", "n/a", "unknown")
_PLANE_NAMES = ("sagittal", "coronal", "axial")  # by the LPS axis of the normal

#: Words of series descriptions for the phases, as scanners and their users write them in English, German, French, Spanish.
_PHASE_WORDS: dict[Phase, str] = {
    "none": r"non[- ]?con|non[- ]?enh|unenh|without|\bnativ|\bplain\b|\bncct\b|ohne ?km|\bsans\b|\bsin ?(contr|civ)|\bpre[- ]?con",
    "arterial": r"arteri|\bart\b|\bhap\b|angio|\bcta\b|cortico",
    "portal-venous": r"port(al|o|ven)|\bpv(p|ph)?\b|\bv(e|é)n(\b|o|ö|oe|eu)|\b[67][05] ?s(ec)?\b",
    "delayed": r"delay|equilib|excret|\btardi|sp(ä|ae)t|nephro|\burogr|\blate\b(?! art)",
}


@dataclass(frozen=True)
class SeriesFacts:
    """One series as a table shows it. `original`, `kernel` and the like are None where the header does not say.

    `contrast` is whether an agent is named; `phase` is what the description says, by its words. `problem` None: it can
    be segmented.
    """

    uid: str
    study_uid: str
    number: str
    modality: str
    description: str
    kernel: str | None
    contrast: bool
    phase: Phase | None
    orientation: str | None  # axial, coronal, sagittal or oblique
    original: bool | None
    slices: int
    shape_zyx: Shape | None
    spacing_mm: Vector | None  # (z, y, x)
    problem: str | None

    @property
    def told(self) -> str:
        """One line of a list of candidates, without free text."""
        spacing = "-" if self.spacing_mm is None else " x ".join(f"{mm:.4g}" for mm in self.spacing_mm)
        source = {True: "original", False: "derived", None: "original or derived unknown"}[self.original]
        return (
            f"{self.uid or '(no UID)'}: number {self.number}, {self.orientation}, {source}, kernel {self.kernel or '-'}, "
            f"phase {self.phase or '-'}, {self.slices} slices, spacing {spacing} mm (z, y, x)"
        )

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for json.dumps."""
        return asdict(self)


def study_facts(path: Path) -> tuple[SeriesFacts, ...]:
    """The facts of every series of a folder or zip, of whatever modality. Raises InputError for damaged files."""
    return tuple(facts_of(series) for series in all_series(path))


def facts_of(series: Series, acquisition: int | None = None, correct_tilt: bool = False) -> SeriesFacts:
    """Read one header of a series, and try whether its planes, or those of one acquisition, make a scan.

    With `correct_tilt` those of a tilted gantry do; shape and spacing are the slices' own.

    Raises InputError for a damaged file.
    """
    middle = series.planes[len(series.planes) // 2] if series.planes else None
    header = _header(series, series.first_file if middle is None else middle.file)
    shape_zyx, spacing_mm, problem = _stacked(series, acquisition, correct_tilt)
    image_type = header.get("ImageType")
    description = str(header.get("SeriesDescription") or "").strip()
    return SeriesFacts(
        uid=series.uid,
        study_uid=series.study_uid,
        number=series.number,
        modality=str(header.get("Modality") or ""),
        description=description,
        kernel=_kernel(header),
        contrast=str(header.get("ContrastBolusAgent") or "").strip().lower() not in _NO_AGENT,
        phase=phase_of(description) or phase_of(str(header.get("ProtocolName") or "")),
        orientation=None if middle is None else orientation_of(middle.cosines),
        original=None if not image_type or isinstance(image_type, str) else _is_original(image_type),
        slices=len(series.planes) or sum(count for _, count in series.left_out),
        shape_zyx=shape_zyx,
        spacing_mm=spacing_mm,
        problem=problem,
    )


def phase_of(text: str) -> Phase | None:
    """The contrast phase that a description names; None where it names none, or two.

    >>> phase_of("Abdomen  2.0  B30f  PORTAL VENOUS"), phase_of("late art. 1.0"), phase_of("AP art/ven"), phase_of("Thorax 1.5")
    ('portal-venous', 'arterial', None, None)
    """
    named = [phase for phase, words in _PHASE_WORDS.items() if re.search(words, text.replace("_", " "), re.IGNORECASE)]
    return named[0] if len(named) == 1 else None


def orientation_of(cosines: tuple[float, ...]) -> str:
    """The plane's name by its normal.

    >>> orientation_of((1, 0, 0, 0, 1, 0)), orientation_of((1, 0, 0, 0, 0, -1)), orientation_of((0.7, 0.7, 0, 0, 0, -1))
    ('axial', 'coronal', 'oblique')
    """
    normal = np.cross(cosines[:3], cosines[3:])
    shares = np.abs(normal) / max(float(np.linalg.norm(normal)), 1e-9)
    axis = int(shares.argmax())
    return _PLANE_NAMES[axis] if shares[axis] >= _NEAR_AXIS else "oblique"


def _stacked(series: Series, acquisition: int | None, correct_tilt: bool) -> tuple[Shape | None, Vector | None, str | None]:
    """Shape and spacing of the planes as far as they go, and why they make no scan."""
    if not series.planes:
        broken = [f"{len(series.unusable)} images that cannot be used ({series.unusable[0].told})"] if series.unusable else []
        return None, None, ", ".join([*(f"{count} images {reason}" for reason, count in series.left_out), *broken])
    try:
        grid = regular_planes(series, acquisition, correct_tilt).grid
    except InputError as error:
        rows_mm, columns_mm = series.planes[0].spacing_yx_mm
        through_mm = gap_mm(series.planes)
        spacing_mm = None if through_mm is None else (through_mm, rows_mm, columns_mm)
        return (len(series.planes), *series.planes[0].shape_yx), spacing_mm, str(error)
    return grid.shape_zyx, grid.spacing_mm, None


def _header(series: Series, file: int) -> Any:
    try:
        with opened(series.files, file) as stream, quiet():
            return library("pydicom").dcmread(stream, stop_before_pixels=True, specific_tags=list(_TAGS))
    except LIBRARY_ERRORS as error:
        raise damaged(series.path, file, len(series.files), error) from None


def _kernel(header: Any) -> str | None:
    """The kernel of a plain CT, or of an enhanced one's shared reconstruction. Several values (Siemens: Br40d, 3) are joined."""
    value = next((value for value in _kernel_values(header) if value), None)
    if value is None:
        return None
    return "/".join([value] if isinstance(value, str) else map(str, value)).strip() or None


def _kernel_values(header: Any) -> Iterator[Any]:
    yield header.get("ConvolutionKernel")
    for groups in header.get("SharedFunctionalGroupsSequence") or ():
        for item in groups.get("CTReconstructionSequence") or ():
            yield item.get("ConvolutionKernel")


def _is_original(image_type: Any) -> bool:
    """ORIGINAL\\PRIMARY (PS3.3, C.8.2.1.1.1): made of the scanner's own data, not of other images."""
    return [str(value).upper() for value in image_type[:2]] == ["ORIGINAL", "PRIMARY"]
