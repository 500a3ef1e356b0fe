"""The structures that FLARE scores: label values, names, surface tolerances and which are scored on labelled slices only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """One label. `tolerance_mm` is NSD's; a `tubular` one is scored only where the reference is labelled along z."""

    value: int
    name: str
    short: str  # the official tables' column name
    tolerance_mm: float
    tubular: bool = False
    lesion: bool = False


#: FLARE23's 13 organs: github.com/JunMa11/FLARE, FLARE23/FLARE23_DSC_NSD_Eval.py, label_tolerance.
ORGANS = (
    Structure(1, "liver", "Liver", 5.0),
    Structure(2, "right kidney", "RK", 3.0),
    Structure(3, "spleen", "Spleen", 3.0),
    Structure(4, "pancreas", "Pancreas", 5.0),
    Structure(5, "aorta", "Aorta", 2.0, tubular=True),
    Structure(6, "inferior vena cava", "IVC", 2.0, tubular=True),
    Structure(7, "right adrenal gland", "RAG", 2.0),
    Structure(8, "left adrenal gland", "LAG", 2.0),
    Structure(9, "gallbladder", "Gallbladder", 2.0),
    Structure(10, "esophagus", "Esophagus", 3.0, tubular=True),
    Structure(11, "stomach", "Stomach", 5.0),
    Structure(12, "duodenum", "Duodenum", 7.0),
    Structure(13, "left kidney", "LK", 3.0),
)

#: Name for --labels -> structures. FLARE22 and FLARE24 task 2 score the organs alone, FLARE23 the lesions too.
LABEL_SETS = {
    "flare22": ORGANS,
    "flare23": (*ORGANS, Structure(14, "lesion", "Lesion", 2.0, lesion=True)),
}
