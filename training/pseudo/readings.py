"""What the teachers say of a case, kept on disk: a round that was stopped reads no case twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.files import atomic_file
from flare_trt.engine.base.organs import TUMOUR
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_ct
from flare_trt.training.prepare.cases import Case
from flare_trt.training.pseudo.teachers import Reading, Teachers

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Folders inside a round's work folder.
READINGS, SOFT = "readings", "soft"


@dataclass(frozen=True)
class CaseReading:
    """On the scan's grid (z, y, x): the organ teacher's labels, its doubtful voxels, the tumour teacher's mask or None."""

    labels: Labels
    doubt: Mask
    tumour: Mask | None

    @property
    def claims(self) -> Labels:
        """Organs, and tumour where a tumour teacher sees it."""
        organs = np.where(self.labels == TUMOUR, 0, self.labels).astype(np.uint8)
        return organs if self.tumour is None else np.where(self.tumour, np.uint8(TUMOUR), organs)


def read_case(case: Case, work: Path, teachers: Teachers, soft: bool) -> CaseReading:
    """The teachers' reading of a case, from the work folder where it is there; `soft` keeps probabilities beside it."""
    kept = work / READINGS / f"{case.name}.npz"
    if not kept.exists():
        _keep(read_ct(case.image), kept, work / SOFT / f"{case.name}.npz" if soft else None, teachers)
    with np.load(kept) as file:
        return CaseReading(file["labels"], file["doubt"], file.get("tumour"))


def _keep(ct: Volume, target: Path, soft: Path | None, teachers: Teachers) -> None:
    reading = teachers.organs.read(ct)
    arrays: dict[str, Any] = {"labels": reading.labels, "doubt": reading.doubt}
    if teachers.tumour is not None:
        labels = reading.labels if teachers.tumour is teachers.organs else teachers.tumour.read(ct).labels
        arrays["tumour"] = labels == TUMOUR
    if soft is not None:
        _keep_soft(reading, soft)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(target) as file:
        np.savez_compressed(file, **arrays)


def _keep_soft(reading: Reading, target: Path) -> None:
    """The teacher's largest shares on its own grid, and the box of the scan that they cover."""
    if reading.soft is not None and reading.box is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        box = np.array([reading.box.start_zyx, reading.box.stop_zyx])
        with atomic_file(target) as file:
            np.savez_compressed(file, classes=reading.soft.classes, shares=reading.soft.shares, box_zyx=box)
