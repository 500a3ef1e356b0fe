"""How one structure of one case is scored: FLARE's official rules, quirks included, or plain definitions.

Source of the official rules: github.com/JunMa11/FLARE, FLARE23/FLARE23_DSC_NSD_Eval.py and
FLARE24/T2andT3_FLARE24_DSC_NSD_Eval.py, both at commit aad2cc2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.benchmarks.score.dice import dice
from flare_trt.benchmarks.score.surface import Vector, surface_dice
from flare_trt.benchmarks.score.targets import Target

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """DSC and NSD of one structure, 0 to 1; NaN where the protocol cannot score it, or where no tolerance is known."""

    dsc: float
    nsd: float


@dataclass(frozen=True)
class Protocol:
    """`score(reference, prediction, target, spacing_mm)` of two masks cropped to their joint box; means are rounded to
    `decimals` (None: not at all)."""

    score: Callable[[Mask, Mask, Target, Vector], Score]
    decimals: int | None


def score_flare23(reference: Mask, prediction: Mask, target: Target, spacing_mm: Vector) -> Score:
    """The official score, to four decimals.

    Absent in both: 1 and 1; absent in one: 0 and 0. Aorta, vena cava and esophagus count from the first labelled slice of
    the reference up to, but without, the last one; where only one slice is labelled nothing is left and the score is NaN
    (the official script stops with an error there). A DSC under 0.2 makes the NSD 0.
    """
    if not reference.any() or not prediction.any():
        both_absent = float(not reference.any() and not prediction.any())
        return Score(both_absent, both_absent)
    if target.tubular:
        labelled = np.flatnonzero(reference.any(axis=(1, 2)))
        slices = slice(labelled[0], labelled[-1])
        reference, prediction = reference[slices], prediction[slices]
    dsc = dice(reference, prediction)
    nsd = 0.0 if dsc < 0.2 else _nsd(reference, prediction, target, spacing_mm)
    return Score(float(np.round(dsc, 4)), float(np.round(nsd, 4)))


def score_plain(reference: Mask, prediction: Mask, target: Target, spacing_mm: Vector) -> Score:
    """DSC and NSD by their definitions, whole and not rounded: NaN where both are absent, 0 where one is."""
    return Score(dice(reference, prediction), _nsd(reference, prediction, target, spacing_mm))


def _nsd(reference: Mask, prediction: Mask, target: Target, spacing_mm: Vector) -> float:
    if target.tolerance_mm is None:
        return float("nan")
    return surface_dice(reference, prediction, spacing_mm, target.tolerance_mm)


#: Name for --protocol -> rules.
PROTOCOLS = {"flare23": Protocol(score_flare23, 4), "plain": Protocol(score_plain, None)}
