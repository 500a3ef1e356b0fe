"""Which image belongs to which label: finds the cases of a FLARE folder, labelled and not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import case_name, files_below
from flare_trt.engine.scans.nifti import ENDINGS

#: Of the files that are written.
ENDING = ".nii.gz"


@dataclass(frozen=True)
class Case:
    """One scan and its expert label map, or None."""

    name: str
    image: Path
    label: Path | None


def find_cases(folder: Path) -> tuple[Case, ...]:
    """Pair all .nii.gz and .nii below folders named images* or unlabel* with those below folders named label*, sorted by name.

    "FLARE23_0001_0000.nii.gz" and "FLARE23_0001.nii.gz" are one case. Raises InputError where nothing is found, a name
    occurs twice, or a label has no image.
    """
    images = _by_name(folder, ("image", "unlabel"))
    labels = _by_name(folder, ("label",))
    if not images:
        endings = " or ".join(ENDINGS)
        raise InputError(f"{folder}: found no image ({endings} below a folder named images*); give the folder of the download")
    alone = sorted(labels.keys() - images.keys())
    if alone:
        raise InputError(f"{folder}: {len(alone)} labels have no image, the first is {labels[alone[0]]}; complete the download")
    return tuple(Case(name, images[name], labels.get(name)) for name in sorted(images))


def _by_name(folder: Path, beginnings: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files_below(folder, ENDINGS):
        parents = [parent.name.lower() for parent in file.relative_to(folder).parents]
        if any(parent.startswith(tuple(beginnings)) for parent in parents):
            name = case_name(file)
            if name in found:
                raise InputError(f"{file}: the case {name} occurs twice, also as {found[name]}; keep one of them")
            found[name] = file
    return found
