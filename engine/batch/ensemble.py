"""An ensemble: bundles of several configurations on one scan, their probabilities averaged as nnUNetv2_ensemble does.

Each bundle's softmax (for regions: sigmoid) counts alike, whatever its folds, and labels are made of the means. Only one model is
open at a time; its probabilities wait on disk, and means are taken part by part. Source: nnunetv2/ensembling/ensemble.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.probabilities import STRAIGHT, Probabilities, StoredAxes
from flare_trt.engine.base.run_report import RunReport
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.model.spec import ModelSpec
from flare_trt.engine.segmenter import Segmentation, Segmenter, StageProgress


class Ensemble:
    """Segments scans as engine.segmenter.Segmenter does; `spec` is the first bundle's, without rules that follow the network.

    A memory budget holds for each model in turn. Raises InputError for bundles that do not give the same classes, BundleError.
    """

    def __init__(self, bundles: Sequence[Path], options: RunOptions) -> None:
        self._bundles, self._options = tuple(bundles), options
        specs = [_spec_of(path) for path in bundles]
        for path, spec in zip(bundles, specs, strict=True):
            _require_same_classes(path, spec, specs[0])
        ruled = [spec.name for spec in specs if spec.postprocessing or spec.lesion_gates]
        self._warnings = tuple(f"{name}: its rules for pieces are left out of the ensemble, which needs its own" for name in ruled)
        name = " + ".join(spec.name for spec in specs)
        fine = replace(specs[0].fine, strong_label=None)
        self.spec = replace(specs[0], name=name, fine=fine, postprocessing=(), lesion_gates=None)

    def segment(self, ct: Volume, progress: StageProgress | None = None) -> Segmentation:
        """Segment one CT in memory or on disk. Raises what Segmenter does, OutputError where the disk has no room."""
        members, reports = [], []
        for path in self._bundles:
            with Segmenter.open(path, replace(self._options, probabilities=True)) as segmenter:
                found = segmenter.segment(ct, progress)
            if found.probabilities is not None:
                members.append(found.probabilities)
            reports.append(found.report)
            del found  # its labels are not wanted
        values = np.array(self.spec.fine.channel_values, self.spec.fine.label_dtype)
        labels, mean = averaged(members, values, self._options.probabilities)
        report = replace(reduce(_with, reports), model=self.spec.name)
        report = replace(report, warnings=tuple(dict.fromkeys(report.warnings + self._warnings)))
        return Segmentation(Volume(labels, ct.grid), report, mean)

    def __enter__(self) -> Ensemble:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open between two scans."""


def averaged(members: Sequence[Probabilities], values: NDArray[Any], keep: bool) -> tuple[NDArray[Any], Probabilities | None]:
    """Labels (z, y, x) of the mean probabilities, and these where they are to be kept.

    `values[c]` is the label of channel c: of the first largest one, or, for regions, of the last one above 0.5.
    """
    first = members[0]
    grid = first.axes.grid
    axes = StoredAxes(grid, STRAIGHT, grid.whole, first.axes.reader)
    mean = Probabilities(axes, first.channels, first.has_background) if keep else None
    labels = np.zeros(grid.shape_zyx, values.dtype)
    for part in first.parts():
        here, best = labels[part.slices], np.full(part.shape_zyx, -np.inf if first.has_background else 0.5, np.float32)
        for channel, value in enumerate(values):
            total = first.read(channel, part)
            for other in members[1:]:
                total += other.read(channel, part)
            total /= np.float32(len(members))
            over = total > best
            here[over] = value
            if first.has_background:
                best[over] = total[over]
            if mean is not None:
                for z, plane in enumerate(total, start=part.start_zyx[0]):
                    mean.write((z, 0, 0), plane[None], channel)
    return labels, mean


def _spec_of(path: Path) -> ModelSpec:
    with open_bundle(path) as bundle:
        return bundle.spec


def _require_same_classes(path: Path, spec: ModelSpec, first: ModelSpec) -> None:
    got, expected = _classes(spec), _classes(first)
    if got != expected:
        raise InputError(
            f"{path}: got the channels {got}, expected the first bundle's: {expected}; an ensemble averages channel by channel"
        )


def _classes(spec: ModelSpec) -> str:
    """What goes in, and what each channel that comes out stands for, in words."""
    names = {0: "background", **spec.label_names}
    channels = ", ".join(f"{names[value]} {value}" for value in spec.fine.channel_values)
    return f"of {', '.join(spec.input_names)}, {spec.fine.activation}: {channels}"


def _with(first: RunReport, other: RunReport) -> RunReport:
    """One report of two runs on the same scan: what counts adds up, the rest is the first's."""
    stages = {name: round(first.stages.get(name, 0) + other.stages.get(name, 0), 4) for name in {**first.stages, **other.stages}}
    tiles = {name: first.tiles.get(name, 0) + other.tiles.get(name, 0) for name in {**first.tiles, **other.tiles}}
    return replace(first, stages=stages, tiles=tiles, warnings=first.warnings + other.warnings)
