"""The same scans on the GPU and on the CPU: voxels that are equal, and the Dice of each class."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.gpu.findings import CouldNotDoError, Findings
from tests.gpu.networks import choose_backend, on_cpu, on_gpu

from flare_trt.benchmarks.score.dice import dice
from flare_trt.engine.base.grid import Shape, Vector
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.segmenter import Segmentation

#: (shape, spacing) of the phantom for each network; small tiles make many runs of the one-convolution network.
SCANS: dict[str, tuple[Shape, Vector]] = {
    "bands": ((41, 90, 101), (4.0, 1.5, 1.3)),
    "default": ((83, 252, 301), (4.0, 1.5, 1.3)),
}
CASES: tuple[tuple[str, Mode], ...] = (("bands", "exact"), ("default", "exact"), ("default", "fast"))
#: Of `1 - equal voxels` and `1 - least DSC`: what mode=exact promises, and what fp16 may cost in mode=fast.
LIMITS: dict[Mode, tuple[float, float]] = {"exact": (1e-4, 1e-3), "fast": (2e-3, 1e-2)}
#: A class of fewer voxels is reported and not checked: one voxel would move its DSC by more than the limit.
LEAST_VOXELS = 1000


def compare(findings: Findings) -> None:
    """A network of one convolution, whose labels band the image and hang on the kernels alone; and the default model."""
    backend = choose_backend(findings)
    findings.data["rows"] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, mode in CASES:
            with findings.part(f"{name} {mode}"):
                bundle = default_model() if name == "default" else _bands(Path(folder))
                ct = make_phantom(3, *SCANS[name], PhantomOptions(centre_mm=0.0))[0]
                _compare_one(findings, f"{name} {mode}", (bundle, mode, backend), ct)


def _compare_one(findings: Findings, case: str, how: tuple[Path, Mode, str], ct: Volume) -> None:
    bundle, mode, backend = how
    with on_gpu(bundle, mode, backend) as segmenter:
        found = segmenter.segment(ct)
    with on_cpu(bundle, mode, findings) as segmenter:
        expected = segmenter.segment(ct)
    row = agreement(expected, found)
    findings.data["rows"].append({"case": case, "precision": found.report.precision} | row)
    unequal, undice = LIMITS[mode]
    findings.check(f"{case}: share of voxels that differ from the CPU's", 1 - row["equal"], unequal)
    findings.check(f"{case}: 1 - least DSC of a class", 1 - row["least_dice"], undice)


def agreement(expected: Segmentation, found: Segmentation) -> dict[str, Any]:
    """How like the labels are, and whether both runs went the same way."""
    ours, theirs = found.labels.array, expected.labels.array
    scores = {str(value): dice(theirs == value, ours == value) for value in _classes(theirs, ours)}
    large = [score for value, score in scores.items() if np.count_nonzero(theirs == int(value)) >= LEAST_VOXELS]
    return {
        "equal": float((ours == theirs).mean()),
        "least_dice": min(large, default=0.0),
        "dice": scores,
        "same_tiles": found.report.tiles == expected.report.tiles,
        "same_roi": found.report.roi == expected.report.roi,
        "cpu_backend": expected.report.backend,
        "cpu_kernels": expected.report.kernels,
        "gpu_s": sum(found.report.stages.values()),
        "cpu_s": sum(expected.report.stages.values()),
    }


def _classes(*labels: NDArray[np.uint8]) -> list[int]:
    return [value for value in np.unique(np.concatenate([np.unique(map_) for map_ in labels])).tolist() if value != 0]


def _bands(folder: Path) -> Path:
    """A bundle whose labels follow the image's intensity; its network is written here."""
    if find_spec("onnx") is None:
        raise CouldNotDoError("the package onnx, which writes the network, is not installed")
    from tests.engine.tiny_bundle import write_tiny_bundle

    return write_tiny_bundle(folder / "bands")
