"""A whole scan on the GPU: its stages, its memory over time, and the same scan again from an array that lies on the GPU."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tests.gpu.device_curve import DeviceCurve
from tests.gpu.findings import Findings
from tests.gpu.networks import DEVICE, choose_backend, on_gpu

from flare_trt.benchmarks.score.dice import dice
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.default_model import default_model
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.segmenter import Segmentation, Segmenter
from flare_trt.kernels import load

#: An abdominal CT's size.
SHAPE_ZYX, SPACING_MM = (133, 512, 512), (2.5, 0.75, 0.75)
MODES: tuple[Mode, ...] = ("exact", "fast")


def measure(findings: Findings) -> None:
    """Each mode in turn, opened anew; its labels against those of the mode before it."""
    ct = make_phantom(5, SHAPE_ZYX, SPACING_MM, PhantomOptions(centre_mm=0.0))[0]
    backend = choose_backend(findings)
    findings.data |= {"shape_zyx": list(SHAPE_ZYX), "spacing_mm": list(SPACING_MM), "rows": []}
    exact: Segmentation | None = None
    for mode in MODES:
        with findings.part(mode):
            row, found = _one_mode(ct, mode, backend)
            if exact is not None:
                row |= against(exact.labels, found.labels)
            exact = exact or found
            findings.data["rows"].append(row)


def _one_mode(ct: Volume, mode: Mode, backend: str) -> tuple[dict[str, Any], Segmentation]:
    """The memory is read from before the networks are opened until the scan is done, then again over a second scan."""
    curve, start = DeviceCurve(), time.perf_counter()
    with on_gpu(default_model(), mode, backend) as segmenter:
        open_s = time.perf_counter() - start
        first_s, first = _timed(segmenter, ct)
        cold = curve.stop()
        curve = DeviceCurve()
        warm_s, found = _timed(segmenter, ct)
        warm = curve.stop()
        row = {
            "mode": mode,
            "precision": found.report.precision,
            "open_s": open_s,
            "first_s": first_s,
            "warm_s": warm_s,
            "stages": found.report.stages,
            "tiles": found.report.tiles,
            "roi": None if found.report.roi is None else found.report.roi.decision,
            "warnings": list(found.report.warnings),
            "same_again": bool(np.array_equal(first.labels.array, found.labels.array)),
            "memory": {"cold": cold, "warm": warm},
        }
        return row | _on_device(segmenter, ct, found), found


def _on_device(segmenter: Segmenter, ct: Volume, expected: Segmentation) -> dict[str, Any]:
    """The scan handed over on the GPU: seconds, and whether the labels are the same."""
    kernels = load(DEVICE)
    array = kernels.upload(np.ascontiguousarray(ct.array))
    start = time.perf_counter()
    found = segmenter.segment_array(array, ct.grid)
    labels = kernels.download(found.labels.array)  # waits for them
    return {"device_s": time.perf_counter() - start, "device_equal": float((labels == expected.labels.array).mean())}


def _timed(segmenter: Segmenter, ct: Volume) -> tuple[float, Segmentation]:
    start = time.perf_counter()
    found = segmenter.segment(ct)
    return time.perf_counter() - start, found


def against(exact: Volume, found: Volume) -> dict[str, float]:
    """Voxels equal to those of mode=exact, and the mean DSC of its classes."""
    scores = [dice(exact.array == value, found.array == value) for value in np.unique(exact.array) if value != 0]
    return {
        "equal_to_exact": float((exact.array == found.array).mean()),
        "dice_to_exact": float(np.mean(scores)) if scores else 0.0,
    }
