"""One network of real size: exported, and compared with nnU-Net on one CT, each step a process of its own that is measured."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.inputs.model_folder import write_model_folder
from flare_trt.benchmarks.inputs.real_networks import RealNetwork
from flare_trt.benchmarks.measure.measure import measured
from flare_trt.benchmarks.score.dice import dice
from flare_trt.engine.base.files import write_json
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.spec import Check
from flare_trt.engine.scans.image_files import read_ct, read_labels

BACKENDS = ("openvino", "onnxruntime")
#: Promise 1 of mode=exact. Classes of fewer voxels in nnU-Net's map are listed: one voxel on a tie is 0.001 of their DSC.
DIFFERING_LIMIT, DICE_LIMIT, LEAST_VOXELS = 1e-4, 0.999, 2000


@dataclass(frozen=True)
class Job:
    """What a row is about, and where its files go."""

    network: RealNetwork
    ct: Path
    mirrored: bool
    work: Path

    @property
    def key(self) -> str:
        """The row's name."""
        return f"{self.network.name}, {self.ct.parent.name}/{self.ct.name}{', mirrored' if self.mirrored else ''}"

    @property
    def slug(self) -> str:
        """The name of the row's folder."""
        return "-".join(re.findall(r"[\w.]+", self.key))


def run_job(job: Job) -> dict[str, Any]:
    """The row of one network. Raises FlareError where a step fails; its log is kept in the work folder.

    What a step gave is kept there until the row is whole, so that an interrupted row goes on behind its last step.
    """
    here = job.work / job.slug
    here.mkdir(parents=True, exist_ok=True)
    row: dict[str, Any] = {
        "network": job.network.name,
        "ct": f"{job.ct.parent.name}/{job.ct.name}",
        "mirrored": job.mirrored,
        "parameters": _kept(here / "parameters.json", lambda: write_model_folder(job.network, read_ct(job.ct), here / "model")),
        "patch_zyx": list(job.network.patch_zyx),
        "classes": job.network.classes,
        "folds": job.network.folds,
        "export": _kept(here / "export.json", lambda: _export(here)),
        "nnU-Net": _kept(here / "nnunet.json", lambda: _nnunet(job, here)),
    }
    for backend in BACKENDS:
        row[backend] = _kept(here / f"{backend}.json", partial(_ours, job, here, backend))
    shutil.rmtree(here)
    return row


def _kept(file: Path, step: Callable[[], Any]) -> Any:
    if not file.exists():
        write_json(file, step())
    return json.loads(file.read_text(encoding="utf-8"))


def _export(here: Path) -> dict[str, Any]:
    words = ["export", "nnunet", str(here / "model"), "-o", str(here / "bundle"), "--licence", "none: random"]
    exported = _step(words, here / "export.log")
    with open_bundle(here / "bundle") as opened:
        provenance, barred = opened.spec.provenance, [bar.backend for bar in opened.spec.barred]
    return {**exported, "checks": [[check.name, check.measured] for check in provenance.checks], "barred": barred}


def _nnunet(job: Job, here: Path) -> dict[str, Any]:
    what = [str(here / "model"), str(job.ct), str(here / "nnunet.nii.gz"), *(["--mirroring"] if job.mirrored else [])]
    return _measured([sys.executable, "-m", "flare_trt.benchmarks.peers.peer_nnunet", *what], here / "nnunet.log")


def _ours(job: Job, here: Path, backend: str) -> dict[str, Any]:
    labels = here / f"{backend}.nii.gz"
    words = ["segment", str(job.ct), "-o", str(labels), "--model", str(here / "bundle"), "--device", "cpu", "--backend", backend]
    spent = _step([*words, "--mode", "exact", *(["--mirror"] if job.mirrored else [])], here / f"{backend}.log")
    return {**spent, **agreement(read_labels(labels).array, read_labels(here / "nnunet.nii.gz").array)}


def agreement(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> dict[str, Any]:
    """Share of voxels that differ, and DSC per class of nnU-Net's map: the least of large ones, each of small ones."""
    voxels = np.bincount(theirs.ravel(), minlength=256)
    scores = {int(value): dice(theirs == value, ours == value) for value in np.flatnonzero(voxels)}
    large = {value: score for value, score in scores.items() if voxels[value] >= LEAST_VOXELS}
    small = {str(value): [int(voxels[value]), score] for value, score in scores.items() if value not in large}
    return {
        "differing": float((ours != theirs).mean()),
        "large_classes": len(large),
        "least_dice": min(large.values(), default=None),
        "small_classes": small,
    }


def checks_of(row: dict[str, Any]) -> list[Check]:
    """What has to hold of a row."""
    about = f"{row['network']} on {row['ct']}{', mirrored' if row['mirrored'] else ''}"
    checks = [Check(f"{about}: backends barred by the export", len(row["export"]["barred"]), 0)]
    for backend in BACKENDS:
        found = row[backend]
        checks.append(Check(f"{about}, {backend}: share of voxels that differ from nnU-Net's", found["differing"], DIFFERING_LIMIT))
        if found["least_dice"] is not None:
            checks.append(Check(f"{about}, {backend}: 1 - least DSC", 1 - found["least_dice"], 1 - DICE_LIMIT))
    return checks


def _step(words: Sequence[str], log: Path) -> dict[str, Any]:
    return _measured([sys.executable, "-m", "flare_trt.engine", *words], log)


def _measured(command: Sequence[str], log: Path) -> dict[str, Any]:
    found = measured(command, log)
    return {"wall_s": found.wall_s, "cpu_s": found.cpu_s, "peak_mb": found.memory["tree_rss"].peak_mb, "others": found.others_share}
