"""Scores of label maps against references, a case at a time and over all cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.score.protocol import Protocol, Score
from flare_trt.benchmarks.score.surface import Vector
from flare_trt.benchmarks.score.targets import LabelSet, Target
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.files import case_name, files_with
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.scans.image_files import ENDINGS, read_labels


@dataclass(frozen=True)
class Pair:
    """A prediction and the reference of one case."""

    case: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class CaseScores:
    """The scores of one case, one for each target, in the targets' order."""

    case: str
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Mean:
    """Mean and standard deviation over the `count` cases that have a score (a NaN is left out)."""

    dsc: float
    dsc_std: float
    nsd: float
    nsd_std: float
    count: int


def pair_files(predictions: Path, references: Path) -> tuple[list[Pair], list[str]]:
    """The pairs of two files or two folders (by file name), and the names of predictions that have no reference."""
    for path in (predictions, references):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if predictions.is_dir() != references.is_dir():
        raise InputError(f"got a file and a folder ({predictions}, {references}), expected two files or two folders")
    if references.is_file():
        return [Pair(case_name(references), predictions, references)], []
    predicted, wanted = _label_files(predictions), _label_files(references)
    if not wanted:
        raise InputError(f"{references}: no {' or '.join(ENDINGS)} file in it, expected the references")
    if missing := sorted(wanted.keys() - predicted.keys()):
        raise InputError(f"{predictions}: no prediction for {len(missing)} of {len(wanted)} cases: {', '.join(missing[:5])}")
    pairs = [Pair(case, predicted[case], wanted[case]) for case in sorted(wanted)]
    return pairs, sorted(predicted.keys() - wanted.keys())


def evaluate_pair(pair: Pair, labels: LabelSet, protocol: Protocol) -> CaseScores:
    """Read and score one case. Raises InputError where the two files do not fit each other or hold other labels."""
    prediction, reference = read_labels(pair.prediction), read_labels(pair.reference)
    if not prediction.grid.same_place(reference.grid):
        raise InputError(
            f"{pair.prediction}: lies on another grid than {pair.reference} ({prediction.grid.difference(reference.grid)}); "
            "resample the prediction to the reference first"
        )
    values = {0, *(value for target in labels.targets for value in target.values)}
    _require_known(prediction, pair.prediction, values)
    if labels.ignore is not None:  # only a reference may hold it; it is in no target, so there the prediction alone has to go
        prediction.array[reference.array == labels.ignore] = 0
    _require_known(reference, pair.reference, values if labels.ignore is None else values | {labels.ignore})
    scores = score_labels(prediction.array, reference.array, reference.grid.spacing_mm, labels.targets, protocol)
    return CaseScores(pair.case, scores)


def score_labels(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing_mm: Vector,
    targets: Sequence[Target],
    protocol: Protocol,
) -> tuple[Score, ...]:
    """Scores of two (z, y, x) label maps of one shape, one for each target."""
    from scipy import ndimage

    most = max(value for target in targets for value in target.values)
    boxes = [ndimage.find_objects(labels, most) for labels in (prediction, reference)]
    scores = []
    for target in targets:
        # a region of nnU-Net's may hold the background, which has no box
        box = _joint_box([found[value - 1] for found in boxes for value in target.values]) if 0 not in target.values else ...
        masks = _mask(reference[box], target), _mask(prediction[box], target)
        scores.append(protocol.score(*masks, target, spacing_mm))
    return tuple(scores)


def mean_scores(cases: Sequence[CaseScores], index: int, protocol: Protocol) -> Mean:
    """The mean of target number `index` over the cases."""
    dsc, dsc_std, count = _mean_and_std([case.scores[index].dsc for case in cases], protocol)
    nsd, nsd_std, _ = _mean_and_std([case.scores[index].nsd for case in cases], protocol)
    return Mean(dsc, dsc_std, nsd, nsd_std, count)


def organ_mean(means: Sequence[Mean], targets: Sequence[Target], protocol: Protocol) -> Mean:
    """The mean of the organs' means, lesions left out, as FLARE ranks it; the deviations are between organs."""
    organs = [mean for mean, target in zip(means, targets, strict=True) if not target.lesion]
    dsc, dsc_std, count = _mean_and_std([mean.dsc for mean in organs], protocol)
    nsd, nsd_std, _ = _mean_and_std([mean.nsd for mean in organs], protocol)
    return Mean(dsc, dsc_std, nsd, nsd_std, count)


def _mean_and_std(values: Sequence[float], protocol: Protocol) -> tuple[float, float, int]:
    known = np.array([value for value in values if not np.isnan(value)])
    if not known.size:
        return float("nan"), float("nan"), 0
    mean, std = float(known.mean()), float(known.std())
    if protocol.decimals is not None:
        mean, std = float(np.round(mean, protocol.decimals)), float(np.round(std, protocol.decimals))
    return mean, std, int(known.size)


def _joint_box(boxes: Sequence[tuple[slice, ...] | None]) -> tuple[slice, ...]:
    """The smallest box around all; an empty one where none is there."""
    there = [box for box in boxes if box is not None] or [(slice(0, 0),) * 3]
    return tuple(slice(min(one.start for one in axis), max(one.stop for one in axis)) for axis in zip(*there, strict=True))


def _mask(labels: NDArray[Any], target: Target) -> NDArray[np.bool_]:
    return labels == target.values[0] if len(target.values) == 1 else np.isin(labels, target.values)


def _require_known(volume: Volume, path: Path, known: set[int]) -> None:
    present = np.flatnonzero(np.bincount(volume.array.ravel(), minlength=256))
    if unknown := sorted(set(present.tolist()) - known):
        raise InputError(f"{path}: holds the labels {unknown}, expected labels out of {sorted(known)}; see --labels")


def _label_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files_with(folder, ENDINGS):
        case = case_name(path)
        if case in found:
            raise InputError(f"{path}: the case {case} occurs twice, also as {found[case].name}; keep one of them")
        found[case] = path
    return found
