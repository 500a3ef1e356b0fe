"""The structures that FLARE scores: label values, names, surface tolerances and which are scored on labelled slices only."""

from __future__ import annotations

from dataclasses import dataclass

from flare_trt.engine.model.flare_labels import FLARE_LABELS


@dataclass(frozen=True)
class Structure:
    """One label. `tolerance_mm` is NSD's; a `tubular` one is scored only where the reference is labelled along z."""

    value: int
    name: str
    short: str  # the official tables' column name
    tolerance_mm: float
    tubular: bool = False
    lesion: bool = False


#: Official column name -> tolerance, in label order: github.com/JunMa11/FLARE, FLARE23/FLARE23_DSC_NSD_Eval.py.
_TOLERANCES_MM = {
    "Liver": 5.0,
    "RK": 3.0,
    "Spleen": 3.0,
    "Pancreas": 5.0,
    "Aorta": 2.0,
    "IVC": 2.0,
    "RAG": 2.0,
    "LAG": 2.0,
    "Gallbladder": 2.0,
    "Esophagus": 3.0,
    "Stomach": 5.0,
    "Duodenum": 7.0,
    "LK": 3.0,
    "Lesion": 2.0,
}

_STRUCTURES = tuple(
    Structure(label.value, label.name, short, tolerance, tubular=short in ("Aorta", "IVC", "Esophagus"), lesion=short == "Lesion")
    for label, (short, tolerance) in zip(FLARE_LABELS, _TOLERANCES_MM.items(), strict=True)
)

#: Name for --labels -> structures. FLARE22 and FLARE24 task 2 score the 13 organs alone, FLARE23 the lesions too.
LABEL_SETS = {"flare22": _STRUCTURES[:13], "flare23": _STRUCTURES}
