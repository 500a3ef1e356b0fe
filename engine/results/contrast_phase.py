"""The contrast phase of an abdominal CT, estimated from the median HU of aorta, inferior vena cava and liver by a fixed rule.

What the rule rests on, in HU at 120 kVp: blood without contrast has 30 to 60. In the late arterial phase the aorta gains about
300, and the hepatic veins next to nothing (24 to 51). In the portal-venous phase, 60 to 80 s after injection, the aorta has fallen
to about 120 over native, the veins come near it, and the liver gains most (59 to 63). From 3 min on (delayed) all fall. Sources:
Goshima et al., AJR 2006, 187:W25 (aorta, veins and liver at nine delays); Bae, Radiology 2010, 256:32 (timing). Weak hearts, low
kVp and small doses move the limits: it is an estimate, and never overrides what a header says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flare_trt.engine.base.organs import canonical
from flare_trt.engine.results.measures import OrganMeasure

PhaseName = Literal["none", "arterial", "portal-venous", "delayed", "unknown"]

#: Less of a vessel than this says nothing.
_LEAST_ML = 1.0
#: Aorta under this has no contrast in it.
_NATIVE_HU = 80.0
#: Aorta over cava from here on is arterial; portal-venous scans have 1.0 to 1.4.
_ARTERIAL_RATIO = 1.6
#: Where no cava was measured: an aorta that bright is arterial.
_ARTERIAL_HU = 220.0
#: Aorta, or liver, from here on is portal-venous; under both it is delayed.
_PORTAL_HU, _PORTAL_LIVER_HU = 125.0, 100.0


@dataclass(frozen=True)
class ContrastPhase:
    """The estimate and the medians that it rests on; None: not measured."""

    phase: PhaseName
    aorta_hu: float | None = None
    cava_hu: float | None = None
    liver_hu: float | None = None


#: Nothing was measured.
NO_PHASE = ContrastPhase("unknown")


def contrast_phase(organs: Sequence[OrganMeasure]) -> ContrastPhase:
    """Estimate the phase from measured organs, whatever their labels' spelling; unknown without a measured aorta."""
    medians = {canonical(organ.name): organ.median_hu for organ in organs if organ.volume_ml >= _LEAST_ML}
    aorta, cava, liver = (medians.get(name) for name in ("aorta", "inferior vena cava", "liver"))
    return ContrastPhase(_phase(aorta, cava, liver), aorta, cava, liver)


def _phase(aorta_hu: float | None, cava_hu: float | None, liver_hu: float | None) -> PhaseName:
    if aorta_hu is None:
        return "unknown"
    if aorta_hu < _NATIVE_HU:
        return "none"
    arterial = aorta_hu >= _ARTERIAL_HU if cava_hu is None else aorta_hu >= _ARTERIAL_RATIO * max(cava_hu, 1.0)
    if arterial:
        return "arterial"
    portal = aorta_hu >= _PORTAL_HU or (liver_hu is not None and liver_hu >= _PORTAL_LIVER_HU)
    return "portal-venous" if portal else "delayed"
