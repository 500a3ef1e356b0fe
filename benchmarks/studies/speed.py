"""What `flare-trt bench speed` runs: a model's folder, bundle and scan, made once, and one measured run of one engine on them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from flare_trt.benchmarks.inputs.model_folder import write_model_folder
from flare_trt.benchmarks.inputs.real_networks import NETWORKS, RealNetwork
from flare_trt.benchmarks.inputs.turned_scan import turned_scan
from flare_trt.benchmarks.measure.areas import Curve, mean_mb
from flare_trt.benchmarks.measure.measure import Measurement, measured
from flare_trt.benchmarks.measure.phases import Phase, phase_seconds
from flare_trt.benchmarks.peers.nnunet_share import whole_seconds
from flare_trt.benchmarks.studies.real_size import agreement
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.kernels import Box

NNUNET, MIRRORED, EXACT = "nnU-Net", "nnU-Net, mirroring on", "exact"
#: Engine -> the words of its command after model, scan and output. Of nnU-Net's default, eight passes a tile, one tile is run.
ENGINES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        NNUNET: (),
        MIRRORED: ("--mirroring", "--tiles", "1"),
        EXACT: ("--mode", "exact"),
        "exact, two tiles at once": ("--mode", "exact", "--max-memory", "8000MB"),
        "exact, ONNX Runtime": ("--mode", "exact", "--backend", "onnxruntime"),
        "half": ("--mode", "half"),
        "half, two tiles at once": ("--mode", "half", "--max-memory", "8000MB"),
        "fast": ("--mode", "fast"),
    }
)
#: The bundle of the small default model; the others are networks of the catalogue at the spacing that they are planned for.
DEFAULT_MODEL = "default model"
SPACINGS_MM = MappingProxyType({"paper fine": (0.8, 0.79, 0.79), "default CT": (3.0, 0.78, 0.78)})


@dataclass(frozen=True)
class Case:
    """The same scan and the same weights for every engine."""

    model_folder: Path
    bundle: Path
    ct: Path


def catalogue_case(name: str, ct: Path, folder: Path) -> Case:
    """A network of random weights with its bundle, and a crop of the scan that makes about eight tiles; made where missing."""
    network = replace(next(n for n in NETWORKS if n.name == name), spacing_mm=SPACINGS_MM[name])
    case = Case(folder / "model", folder / "bundle", folder / "ct.nii.gz")
    if not case.bundle.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        scan = crop_of_tiles(turned_scan(ct), network)
        write_ct(case.ct, scan)
        write_model_folder(network, scan, case.model_folder)
        export = [
            "export",
            "nnunet",
            str(case.model_folder),
            "-o",
            str(case.bundle),
            "--licence",
            "none: random",
            "--check",
            "quick",
        ]
        measured([sys.executable, "-m", "flare_trt.engine", *export], folder / "export.log")
    return case


def default_case(ct: Path, model_folder: Path, bundle: Path, folder: Path) -> Case:
    """The default model's fine network over the whole scan."""
    case = Case(model_folder, bundle, folder / "ct.nii.gz")
    if not case.ct.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_ct(case.ct, turned_scan(ct))
    return case


def crop_of_tiles(scan: Volume, network: RealNetwork) -> Volume:
    """The middle of a scan, one and a half patches along each axis: two tiles there at nnU-Net's step of half a patch.

    Raises InputError where the scan is smaller.
    """
    ranges = []
    for size, mm, patch, spacing_mm in zip(
        scan.grid.shape_zyx, scan.grid.spacing_mm, network.patch_zyx, network.spacing_mm, strict=True
    ):
        wanted = int(1.5 * patch * spacing_mm / mm)
        if wanted > size:
            raise InputError(f"scan: got {size * mm:.0f} mm along an axis, expected {wanted * mm:.0f} mm for two tiles")
        ranges.append(((size - wanted) // 2, (size - wanted) // 2 + wanted))
    box = Box.spanning(ranges)
    return Volume(np.ascontiguousarray(scan.array[box.slices]), scan.grid.cropped(box))


def run_engine(engine: str, case: Case, folder: Path) -> dict[str, Any]:
    """One run as a row: seconds, memory and its area, and how far the labels are from nnU-Net's, which lie in `folder`."""
    labels = folder / f"{_slug(engine)}.nii.gz"
    if engine in (NNUNET, MIRRORED):
        command = ["-m", "flare_trt.benchmarks.peers.peer_nnunet", str(case.model_folder), str(case.ct), str(labels)]
    else:
        command = [
            "-m",
            "flare_trt.engine",
            "segment",
            str(case.ct),
            "-o",
            str(labels),
            "--model",
            str(case.bundle),
            "--device",
            "cpu",
        ]
    found = measured([sys.executable, *command, *ENGINES[engine]], folder / f"{_slug(engine)}.log")
    row = {"engine": engine, **_spent(found), "others": found.others_share}
    theirs = folder / f"{_slug(NNUNET)}.nii.gz"
    if engine not in (NNUNET, MIRRORED) and theirs.exists():
        row |= agreement(read_labels(labels).array, read_labels(theirs).array)
    return row


def _spent(found: Measurement) -> dict[str, Any]:
    """Seconds, peak and area; where a share of the tiles was run, with what the others would have taken at the same rates."""
    wall_s, share = whole_seconds(found.wall_s, phase_seconds(found.stages))
    left_out_s = wall_s - found.wall_s
    left_out_mb_s = left_out_s * mean_of_tiles_mb(found.stages, found.samples) if share else 0.0
    return {
        "wall_s": wall_s,
        "cpu_s": found.cpu_s + left_out_s * found.cpu_s / found.wall_s,
        "peak_mb": found.memory["tree_rss"].peak_mb,
        "area_mb_s": found.memory["tree_rss"].true_mb_s + left_out_mb_s,
        "tiles": share,
    }


def mean_of_tiles_mb(stages: Sequence[Phase], samples: Mapping[str, Sequence[float | None]]) -> float:
    """Mean memory over the time that tiles ran. Tiles between two samples have a mean too."""
    tiles = [stage for stage in stages if stage.name.startswith("tiles: ")]
    start_s, stop_s = min(stage.start_s for stage in tiles), max(stage.stop_s for stage in tiles)
    times_s = [time_s or 0.0 for time_s in samples["time_s"]]
    return mean_mb(Curve(times_s, samples["tree_rss_mb"], times_s[-1], 0.0), start_s, stop_s)


def _slug(engine: str) -> str:
    return engine.lower().replace(",", "").replace(" ", "-")
