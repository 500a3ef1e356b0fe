"""How much faster the surface Dice is than DeepMind's surface-distance, on the same label maps in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.score.evaluate import score_labels
from flare_trt.benchmarks.score.protocol import PROTOCOLS
from flare_trt.benchmarks.score.surface import Vector
from flare_trt.benchmarks.score.targets import LABEL_SETS, Target

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Speed:
    """CPU seconds of each repeat for all structures of one case (both run on one thread, and CPU time does not count what
    other programs take), and the largest difference of any score."""

    structures: int
    ours_s: list[float]
    theirs_s: list[float]
    difference: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is, by the medians."""
        return float(np.median(self.theirs_s) / np.median(self.ours_s))


def perturbed(reference: Labels) -> Labels:
    """A plausible prediction: moved by (1, 2, 3) voxels, and grown where two structures meet."""
    moved = np.roll(reference, (1, 2, 3), (0, 1, 2))
    return np.where(moved == 0, np.roll(moved, 1, 1), moved)


def compare_speed(reference: Labels, spacing_mm: Vector, repeats: int) -> Speed:
    """Score a perturbed copy of a label map both ways, in turn."""
    prediction = perturbed(reference)
    present = [target for target in LABEL_SETS["flare23"].targets if np.isin(reference, target.values).any()]
    ours_s, theirs_s, difference = [], [], 0.0
    for _ in range(repeats):
        seconds, ours = _timed(lambda: _ours(reference, prediction, spacing_mm, present))
        ours_s.append(seconds)
        seconds, theirs = _timed(lambda: _theirs(reference, prediction, spacing_mm, present))
        theirs_s.append(seconds)
        difference = max(difference, float(np.abs(np.subtract(ours, theirs)).max()))
    return Speed(len(present), ours_s, theirs_s, difference)


def _timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    start = time.process_time()
    values = work()
    return time.process_time() - start, values


def _ours(reference: Labels, prediction: Labels, spacing_mm: Vector, targets: Sequence[Target]) -> list[float]:
    return [score.nsd for score in score_labels(prediction, reference, spacing_mm, targets, PROTOCOLS["plain"])]


def _theirs(reference: Labels, prediction: Labels, spacing_mm: Vector, targets: Sequence[Target]) -> list[float]:
    """As FLARE's script calls it: whole masks, compute_surface_distances, compute_surface_dice_at_tolerance."""
    from surface_distance import metrics

    values = []
    for target in targets:
        masks = reference == target.values[0], prediction == target.values[0]
        distances = metrics.compute_surface_distances(*masks, spacing_mm)
        values.append(float(metrics.compute_surface_dice_at_tolerance(distances, target.tolerance_mm)))
    return values
