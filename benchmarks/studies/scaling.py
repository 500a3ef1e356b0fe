"""How time and memory grow with a scan's slices, the classes, the cores and the size of the region, measured from outside.

The scans are phantoms and the networks synthetic: small, so that what is around them shows; both are resampled between the
scan's spacing and the network's. Every run is a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flare_trt.benchmarks.inputs.synthetic import write_synthetic_bundle
from flare_trt.benchmarks.measure.measure import MeasureOptions, measure
from flare_trt.benchmarks.peers.compare import agreement, last_line
from flare_trt.engine.base.errors import FlareError
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.device_choice import place
from flare_trt.engine.phantom.synthetic_body import make_phantom
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.scans.nifti import write_ct
from flare_trt.engine.segmenter import Segmenter
from flare_trt.kernels import load

SPACING_MM = (2.0, 2.0, 2.0)  # 1400 slices are still no longer than a body may be
IN_PLANE = 200  # voxels: 400 mm


@dataclass(frozen=True)
class Case:
    """One point of a series; `value` is what the series varies."""

    series: str
    value: int
    shape_zyx: tuple[int, int, int]
    classes: int
    cores: int


def cases(cores: int) -> list[Case]:
    """All points: slices of a scan, classes of the network, cores, and the edge of a cubic region in mm."""
    found = [Case("slices", n, (n, IN_PLANE, IN_PLANE), 14, cores) for n in (50, 100, 200, 400, 700, 1000, 1400)]
    found += [Case("classes", n, (200, IN_PLANE, IN_PLANE), n, cores) for n in (2, 4, 8, 16, 32, 64, 118)]
    found += [Case("cores", n, (400, IN_PLANE, IN_PLANE), 14, n) for n in range(1, cores + 1)]
    for edge_mm in (100, 150, 200, 300, 400, 600):
        edge = round(edge_mm / SPACING_MM[0])
        found.append(Case("region (mm)", edge_mm, (edge, edge, edge), 14, cores))
    return found


class Bench:
    """A folder that keeps the scans and bundles that several cases share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scan(self, case: Case) -> Path:
        """The phantom of the case's shape."""
        path = self._folder / f"{'x'.join(map(str, case.shape_zyx))}.nii.gz"
        if not path.exists():
            write_ct(path, make_phantom(1, case.shape_zyx, SPACING_MM)[0])
        return path

    def bundle(self, case: Case) -> Path:
        """The synthetic bundle of so many classes."""
        path = self._folder / f"classes{case.classes}"
        if not path.exists():
            write_synthetic_bundle(path, case.classes)
        return path

    def labels(self, case: Case) -> Path:
        """Where the case's labels go."""
        return self._folder / f"{case.series.split()[0]}-{case.value}-labels.nii.gz"

    def run(self, case: Case) -> dict[str, Any]:
        """Segment the case on its cores and measure. Raises FlareError where the run fails."""
        report = self._folder / "report.json"
        cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[: case.cores])
        command = ["taskset", "--cpu-list", cores, sys.executable, "-m", "flare_trt.engine", "segment", str(self.scan(case))]
        command += ["-o", str(self.labels(case)), "--model", str(self.bundle(case)), "--report", str(report), "--device", "cpu"]
        log = self._folder / "log.txt"
        measured = measure(command, MeasureOptions(log=log))
        if measured.exit_code != 0:
            raise FlareError(f"scaling: {case.series} {case.value} ended with exit code {measured.exit_code}: {last_line(log)}")
        run = json.loads(report.read_text())["run"]
        return {
            "value": case.value,
            "voxels": int(np.prod(case.shape_zyx)),
            "wall_s": measured.wall_s,
            "cpu_s": measured.cpu_s,
            "others_share": measured.others_share,
            "peak_mb": measured.memory["tree_rss"].peak_mb,
            "stages": run["stages"],
            "tiles": sum(run["tiles"].values()),
        }

    def differing_from_reference(self, case: Case) -> float:
        """Share of the case's voxels that differ when the reference kernels segment it in this process."""
        options = RunOptions(device="cpu")
        segmenter = Segmenter(open_bundle(self.bundle(case)), options, place(options), load("reference"))
        with segmenter:
            expected = segmenter.segment(read_ct(self.scan(case))).labels
        return agreement(read_labels(self.labels(case)).array, expected.array).differing


def exponent(points: Sequence[dict[str, Any]], key: str) -> float | None:
    """Slope of log(value of `key`) over log(varied value): 1 is linear growth. None for fewer than three points.

    Only the upper half of the points counts: below, start-up hides the growth.
    """
    upper = points[len(points) // 2 - 1 :]
    if len(points) < 3:
        return None
    x, y = (np.log([point[name] for point in upper]) for name in ("value", key))
    return float(np.polyfit(x, y, 1)[0])


def work_seconds(point: dict[str, Any]) -> float:
    """Seconds in stages, without start-up and shut-down."""
    return float(sum(point["stages"].values()))
