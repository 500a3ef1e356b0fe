"""What a bundle of two students is worth, measured with the engine: labelled CTs, a phantom from thigh to head, a head alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.modes import Mode
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.scans.image_files import read_ct, read_labels
from flare_trt.engine.segmenter import Segmenter
from flare_trt.training.distil.config import DataConfig
from flare_trt.training.distil.validate import dice_by_label

#: Phantoms that no patch of a training shows: a body from thigh to head and a head alone (seed, shape, middle's height in mm).
BODY, HEAD = (900011, (200, 100, 140), 60.0), (900013, (52, 100, 140), 480.0)
PHANTOM_MM = (5.0, 4.0, 4.0)


@dataclass(frozen=True)
class Figure:
    """One scan in one mode: which way the ROI went, the Dice of each organ that the truth shows, and all that was labelled."""

    scan: str
    mode: Mode
    roi: str
    dice: dict[str, float]
    labelled_ml: float

    @property
    def mean_dice(self) -> float:
        """Mean over the organs; NaN where the truth shows none."""
        return float(np.mean(list(self.dice.values()))) if self.dice else float("nan")


def measure_bundle(bundle: Path, data: DataConfig, threads: int) -> list[Figure]:
    """Segment the validation CTs and the phantoms in both modes, on the CPU."""
    scans = [
        (Path(ct).parent.name, read_ct(Path(ct)), read_labels(Path(labels)))
        for ct, labels in zip(data.validation_cts, data.validation_labels, strict=True)
    ]
    scans += [("phantom, thigh to head", *_phantom(*BODY)), ("phantom, head alone", *_phantom(*HEAD))]
    modes: tuple[Mode, ...] = ("exact", "fast")
    figures = []
    for mode in modes:
        with Segmenter.open(bundle, RunOptions(mode=mode, device="cpu", threads=threads)) as segmenter:
            figures += [_figure(segmenter, name, ct, truth) for name, ct, truth in scans]
    return figures


def _figure(segmenter: Segmenter, name: str, ct: Volume, truth: Volume) -> Figure:
    found = segmenter.segment(ct)
    labels = found.labels.array
    names = segmenter.spec.label_names
    dice = {names[label]: score for label, score in dice_by_label(labels, truth.array).items()}
    roi = found.report.roi.decision if found.report.roi else "whole"
    return Figure(name, segmenter.options.mode, roi, dice, int((labels > 0).sum()) * ct.grid.voxel_ml)


def _phantom(seed: int, shape_zyx: tuple[int, int, int], centre_mm: float) -> tuple[Volume, Volume]:
    return make_phantom(seed, shape_zyx, PHANTOM_MM, PhantomOptions(centre_mm=centre_mm))
