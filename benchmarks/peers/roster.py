"""Who is compared: a name, the command that segments one CT, and why it cannot run here, if so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """The same CT and the same weights for everyone: an nnU-Net folder, and the bundle that was exported from it.

    `device` is cpu or cuda:N.
    """

    ct: Path
    model_folder: Path
    bundle: Path
    device: str = "cpu"


@dataclass(frozen=True)
class Peer:
    """`command(task, folder)` writes its labels to labels.nii.gz in an empty folder. It reports its stages by marks
    (stages.py), or by a report.json in that folder. `problem()` says why it cannot run here, or None."""

    name: str
    about: str
    command: Callable[[Task, Path], list[str]]
    problem: Callable[[], str | None]


#: The file names in a peer's folder.
LABELS, REPORT = "labels.nii.gz", "report.json"


def _runner(module: str, *extra: str) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, folder: Path) -> list[str]:
        what = [str(task.model_folder), str(task.ct), str(folder / LABELS), "--device", task.device]
        return [sys.executable, "-m", f"flare_trt.benchmarks.peers.{module}", *what, *extra]

    return command


def segment_command(task: Task, folder: Path, bundle: Path, mode: str) -> list[str]:
    """`flare-trt segment` as a fresh process, with a bundle that need not be the task's."""
    what = [str(task.ct), "-o", str(folder / LABELS), "--model", str(bundle), "--report", str(folder / REPORT)]
    return [sys.executable, "-m", "flare_trt.engine", "segment", *what, "--mode", mode, "--device", task.device]


def own_peer(name: str, bundle: Path, mode: str) -> Peer:
    """`flare-trt segment` with a bundle of its own, whatever the task's."""
    return Peer(name, f"mode={mode}", lambda task, folder: segment_command(task, folder, bundle, mode), lambda: None)


def _ours(mode: str) -> Callable[[Task, Path], list[str]]:
    return lambda task, folder: segment_command(task, folder, task.bundle, mode)


def _needs(*packages: str) -> Callable[[], str | None]:
    def problem() -> str | None:
        missing = [package for package in packages if find_spec(package) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    return problem


NNUNET = Peer("nnU-Net", "nnunetv2 as planned, mirroring off, in one process", _runner("peer_nnunet"), _needs("nnunetv2", "torch"))
#: nnUNetPredictor as it comes. Eight passes a tile take hours on a CPU, so few tiles are run and the rest is reckoned.
DEFAULT_TILES = 2
NNUNET_DEFAULT = Peer(
    "nnU-Net, default",
    f"nnUNetPredictor as it comes, mirroring on; {DEFAULT_TILES} tiles are run and the time of the others is reckoned",
    _runner("peer_nnunet", "--mirroring", "--tiles", str(DEFAULT_TILES)),
    _needs("nnunetv2", "torch"),
)
EXACT = Peer("flare-trt exact", "mode=exact", _ours("exact"), _needs("openvino"))

PEERS = (
    NNUNET,
    Peer(
        "nnU-Net, torch resampling",
        "the same with resample_torch_fornnunet put into the plans",
        _runner("peer_nnunet", "--resampling", "torch"),
        _needs("nnunetv2", "torch"),
    ),
    Peer(
        "MONAI window",
        "MONAI's sliding_window_inference between nnU-Net's pre- and post-processing; another importance map and window raster",
        _runner("peer_monai"),
        _needs("nnunetv2", "torch", "monai"),
    ),
    EXACT,
    Peer("flare-trt fast", "mode=fast: labels may differ", _ours("fast"), _needs("openvino")),
)

#: Others that readers will ask for, and why they are not in the table.
NOT_COMPARED = {
    "FastSegmentator 0.1.1": "runs on a CUDA GPU only (it imports CuPy at once) and pins torch 2.5.1 and "
    "dynamic-network-architectures < 0.4, which cannot be installed beside nnunetv2 2.8.1",
    "TotalSegmentator 2.18.0": "brings weights of its own, downloaded at the first run; it cannot run the compared ones",
}
