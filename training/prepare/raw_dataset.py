"""Writes the two nnU-Net raw datasets: fine (organs and tumour) and coarse (organs only, on the same images)."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import OutputError
from flare_trt.engine.base.files import CHANNEL, write_json
from flare_trt.engine.base.organs import TUMOUR
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.spec import FLARE_LABELS
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_labels
from flare_trt.training.prepare.cases import ENDING, Case
from flare_trt.training.prepare.coarse_labels import COARSE_IGNORE, FINE_IGNORE, without_tumour
from flare_trt.training.prepare.splits import split_cases

#: Case -> classes that its label map vouches for; read by the partial-label loss.
VOUCHED_FILE = "vouched.json"
_GZIP = b"\x1f\x8b"
SPLITS_FILE = "splits_final.json"  # nnU-Net's name; it is looked for beside the preprocessed data


@dataclass(frozen=True)
class LabelledCase:
    """A case to train on: `label` is a label map of organs, tumour and ignored voxels; `vouched` what it vouches for."""

    name: str
    image: Path
    label: Path
    vouched: tuple[int, ...]


@dataclass(frozen=True)
class DatasetNames:
    """Folder names of the pair that belongs to one dataset id: the fine one has the id, the coarse one the next."""

    dataset_id: int

    @property
    def fine(self) -> str:
        """Folder of organs and tumour."""
        return f"Dataset{self.dataset_id:03d}_FLAREFine"

    @property
    def coarse(self) -> str:
        """Folder of organs."""
        return f"Dataset{self.dataset_id + 1:03d}_FLARECoarse"


def write_datasets(cases: Sequence[LabelledCase], unlabelled: Sequence[Case], raw: Path, names: DatasetNames) -> None:
    """Write both datasets under `raw`; images are symbolic links where they are gzipped. A folder appears whole or not at all.

    Raises OutputError where a dataset of that name is there already.
    """
    for name in (names.fine, names.coarse):
        if (raw / name).exists():
            raise OutputError(f"{raw / name}: a dataset is there already; remove it or take another --dataset-id")
    kinds: tuple[tuple[str, Callable[[Path, Path], object], dict[str, int]], ...] = (
        (names.fine, copy_packed, _labels(TUMOUR, FINE_IGNORE)),
        (names.coarse, _write_coarse_label, _labels(TUMOUR - 1, COARSE_IGNORE)),
    )
    for name, write_label, label_names in kinds:
        partial = raw / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for part in ("imagesTr", "labelsTr", "imagesUnlabeled"):
            (partial / part).mkdir(parents=True)
        for case in cases:
            link(case.image, partial / "imagesTr" / f"{case.name}{CHANNEL}{ENDING}")
            write_label(case.label, partial / "labelsTr" / f"{case.name}{ENDING}")
        for rest in unlabelled:
            link(rest.image, partial / "imagesUnlabeled" / f"{rest.name}{CHANNEL}{ENDING}")
        write_json(partial / "dataset.json", _dataset_json(len(cases), label_names))
        write_json(partial / VOUCHED_FILE, {case.name: list(case.vouched) for case in cases})
        write_json(partial / SPLITS_FILE, [split_cases(case.name for case in cases)])
        partial.rename(raw / name)


def link(source: Path, target: Path) -> None:
    """A symbolic link to the absolute source; a gzipped copy of one that is not gzipped, as the target's name has to say."""
    if _is_gzipped(source):
        target.symlink_to(source.resolve())
    else:
        copy_packed(source, target)


def copy_packed(source: Path, target: Path) -> None:
    """A copy, gzipped if the source is not."""
    if _is_gzipped(source):
        shutil.copyfile(source, target)
    else:
        with source.open("rb") as plain, gzip.open(target, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def _write_coarse_label(source: Path, target: Path) -> None:
    labels = read_labels(source)
    write_labels(target, Volume(without_tumour(labels.array), labels.grid))


def _labels(last: int, ignore: int) -> dict[str, int]:
    return {"background": 0, **{label.name: label.value for label in FLARE_LABELS if label.value <= last}, "ignore": ignore}


def _dataset_json(count: int, labels: Mapping[str, int]) -> dict[str, Any]:
    return {"channel_names": {"0": "CT"}, "labels": dict(labels), "numTraining": count, "file_ending": ENDING}
