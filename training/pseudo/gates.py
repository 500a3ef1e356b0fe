"""Whether a case's pseudo-labels are good enough to train on: volumes, pieces, doubt, and agreement with what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.organs import CORE_ORGANS, ORGANS
from flare_trt.engine.base.volume import Volume
from flare_trt.training.pieces import find_pieces
from flare_trt.training.prepare.coarse_labels import FINE_IGNORE
from flare_trt.training.prepare.inspect_case import LABEL_NAMES, label_volumes

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class GateLimits:
    """A case passes if each agreement reaches `least_dice`, the ignored voxels are at most `most_ignored` of the labelled
    ones, and no organ lies in more than `most_pieces` pieces (of at least `piece_ml`) or outside its plausible volume."""

    least_dice: float = 0.7
    most_ignored: float = 0.5
    most_pieces: int = 3
    piece_ml: float = 1.0


@dataclass(frozen=True)
class GateResult:
    """`findings` says what failed. `agreement` is the least Dice found (1 where nothing could be compared): cases sort by it."""

    passed: bool
    findings: tuple[str, ...]
    agreement: float
    volumes_ml: Mapping[str, float]
    ignored_share: float


def judge(merged: Volume, agreements: Mapping[str, Mapping[int, float]], limits: GateLimits) -> GateResult:
    """Judge a merged map. `agreements`: what was compared ("expert", "round before") -> Dice of each class."""
    volumes = label_volumes(merged)
    findings = [*_odd_volumes(volumes), *_scattered(merged, limits)]
    labelled = sum(volume for label, volume in volumes.items() if label != FINE_IGNORE)
    ignored_share = volumes.get(FINE_IGNORE, 0.0) / max(labelled, 1e-9)
    if ignored_share > limits.most_ignored:
        findings.append(f"{100 * ignored_share:.0f} % ignored, at most {100 * limits.most_ignored:.0f} % allowed")
    least = 1.0
    for against, scores in agreements.items():
        for label, score in scores.items():
            least = min(least, score)
            if score < limits.least_dice:
                findings.append(f"{LABEL_NAMES[label]}: Dice {score:.2f} with {against}, at least {limits.least_dice:.2f} wanted")
    named = {LABEL_NAMES[label]: round(volume, 1) for label, volume in volumes.items() if label in LABEL_NAMES}
    return GateResult(not findings, tuple(findings), least, named, ignored_share)


def agreement(labels: Labels, other: Labels, classes: frozenset[int]) -> dict[int, float]:
    """Dice of each of `classes` that either map shows; ignored voxels of either are left out."""
    known = (labels != FINE_IGNORE) & (other != FINE_IGNORE)
    scores = {}
    for label in sorted(classes):
        first, second = (labels == label) & known, (other == label) & known
        total = int(first.sum()) + int(second.sum())
        if total:
            scores[label] = 2 * int((first & second).sum()) / total
    return scores


def _odd_volumes(volumes_ml: Mapping[int, float]) -> list[str]:
    found = []
    for label in ORGANS:
        limits, volume = CORE_ORGANS.get(LABEL_NAMES[label]), volumes_ml.get(label, 0.0)
        if limits is not None and volume > limits.high_ml:
            found.append(f"{LABEL_NAMES[label]}: {volume:.0f} ml, at most {limits.high_ml:.0f} plausible")
    return found


def _scattered(merged: Volume, limits: GateLimits) -> list[str]:
    pieces = find_pieces(merged.array)
    large = pieces.voxels * merged.grid.voxel_ml >= limits.piece_ml
    found = []
    for label in ORGANS:
        count = int((large & (pieces.label == label)).sum())
        if count > limits.most_pieces:
            found.append(f"{LABEL_NAMES[label]}: {count} pieces, at most {limits.most_pieces} allowed")
    return found
