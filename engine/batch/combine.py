"""Several models on one scan, one after another, painted into one label map.

For models that share out a data set's classes, as TotalSegmentator's five do. Only one model is open at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import BudgetError, InputError
from flare_trt.engine.base.label_types import MOST_LABEL, label_dtype, value_count
from flare_trt.engine.base.units import MB
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.channel_files import require_one_channel
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.segmenter import Segmenter, StageProgress


@dataclass(frozen=True)
class Combined:
    """Labels on the scan's grid, what their values mean, and each model's warnings under its name."""

    labels: Volume
    names: dict[int, str]
    warnings: tuple[str, ...]


def combined_names(bundles: Sequence[Path], wanted: Mapping[int, str] | None = None) -> dict[int, str]:
    """Value -> name of every label of the models: `wanted`, or numbered from 1 in the models' order. A name has one value.

    Raises InputError where `wanted` lacks a label or there are too many, BundleError.
    """
    found: list[str] = []
    for path in bundles:
        with open_bundle(path) as bundle:
            require_one_channel(bundle.spec, "combine")
            found += [name for _, name in sorted(bundle.spec.label_names.items()) if name not in found]
    if wanted is not None:
        missing = sorted(set(found) - set(wanted.values()))
        if missing:
            raise InputError(f"labels: the models also find {', '.join(missing[:5])}; give each of their labels a value")
        return dict(wanted)
    if len(found) > MOST_LABEL:
        raise InputError(f"labels: got {len(found)} different names in all models, expected at most {MOST_LABEL}; combine fewer")
    return dict(enumerate(found, 1))


def combine(
    ct: Volume, bundles: Sequence[Path], names: dict[int, str], options: RunOptions, progress: Callable[[str], StageProgress]
) -> Combined:
    """Segment a scan with each model in turn; where two find something, the later one is kept.

    `progress(model)` gives what is called at each tile. A memory budget holds for each model with the merged labels beside it.
    Raises what Segmenter does.
    """
    merged = np.zeros(ct.grid.shape_zyx, label_dtype(names))
    warnings: list[str] = []
    left = _beside(options, merged)
    for path in bundles:
        with Segmenter.open(path, left) as segmenter:
            found = segmenter.segment(ct, progress(segmenter.spec.name))
            _paint(merged, np.asarray(found.labels.array), segmenter.spec.label_names, names)
            warnings += [f"{segmenter.spec.name}: {warning}" for warning in found.report.warnings]
    return Combined(Volume(merged, ct.grid), names, tuple(warnings))


def _beside(options: RunOptions, merged: NDArray[Any]) -> RunOptions:
    """The options with the budget that is left beside the merged labels."""
    if options.max_memory_mb is None:
        return options
    left = options.max_memory_mb - ceil(merged.nbytes / MB)
    if left <= 0:
        raise BudgetError(f"memory: the merged labels alone take {ceil(merged.nbytes / MB)} MB; raise --max-memory")
    return replace(options, max_memory_mb=left)


def _paint(merged: NDArray[Any], labels: NDArray[Any], own: Mapping[int, str], names: Mapping[int, str]) -> None:
    """Plane by plane, so that nothing of the scan's size is made."""
    values = {name: value for value, name in names.items()}
    table = np.zeros(value_count(labels.dtype), merged.dtype)
    for value, name in own.items():
        table[value] = values[name]
    for plane, painted in zip(labels, merged, strict=True):
        np.copyto(painted, table[plane], where=plane != 0)
