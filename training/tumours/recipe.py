"""What is planted where: sizes, contrasts and borders of lesions by organ, with their sources.

HU contrasts are to the median of the organ itself in the same scan, so that one table serves every contrast phase.

Sources (the Bosniak classification was checked against its text, the others were not). Liver: Sica et al., AJR 2000;174:691
(metastases: most are darkest in the portal-venous phase, rims, necrosis, calcification), LI-RADS v2018 (washout, capsule). Kidney:
Silverman et al., Radiology 2019;292:475 (Bosniak 2019: simple fluid is -9 to 20 HU, a mass enhances). Pancreas: Prokesch et al.,
Radiology 2002;224:764 (isodense carcinoma, about one in ten), endocrine tumours are brighter. Spleen: Warshauer and Hall, Semin
Ultrasound CT MR 2006;27:370. Adrenal: Boland et al., AJR 1998;171:201 (adenoma -10 to 30 HU unenhanced). Stomach and duodenum:
Levy et al., RadioGraphics 2003;23:283 (stromal tumours grow outwards).
The idea: Hu et al., Label-free liver tumor segmentation, CVPR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

TUMOUR = 14
CHANNELS = 15

#: Solid tissue is brighter than fluid (Bosniak 2019): no solid part lies below, HU.
LEAST_SOLID_HU = 21.0
#: Necrosis and cysts: fluid, HU.
FLUID_HU = (-4.0, 16.0)


@dataclass(frozen=True)
class Contrast:
    """A kind of lesion: its share among those of the organ, and its HU above the organ's median."""

    share: float
    low_hu: float
    high_hu: float


@dataclass(frozen=True)
class Host:
    """Lesions of one organ. Diameters in mm are drawn log-uniformly; `outward` is the share that grows out of the organ.

    `weight` is how often the organ is chosen, `most` the largest number of lesions in a patch.
    """

    name: str
    labels: tuple[int, ...]
    weight: float
    size_mm: tuple[float, float]
    contrasts: tuple[Contrast, ...]
    outward: float
    most: int
    wall: bool = False


HOSTS: tuple[Host, ...] = (
    Host(
        "liver",
        (1,),
        0.6,
        (8.0, 90.0),
        (Contrast(0.68, -85, -25), Contrast(0.14, -30, -12), Contrast(0.04, -12, 12), Contrast(0.14, 15, 60)),
        0.35,
        6,
    ),
    Host("kidney", (2, 13), 0.13, (8.0, 80.0), (Contrast(0.75, -110, -20), Contrast(0.25, -20, 15)), 0.75, 2),
    Host("pancreas", (4,), 0.13, (8.0, 55.0), (Contrast(0.7, -60, -12), Contrast(0.12, -12, 10), Contrast(0.18, 10, 70)), 0.5, 1),
    Host("spleen", (3,), 0.06, (8.0, 60.0), (Contrast(0.85, -70, -15), Contrast(0.15, 12, 40)), 0.3, 3),
    Host("adrenal", (7, 8), 0.06, (10.0, 60.0), (Contrast(1.0, -40, 25),), 1.0, 1),
    Host("stomach or duodenum", (11, 12), 0.02, (12.0, 70.0), (Contrast(1.0, -15, 40),), 0.8, 1, wall=True),
)


@dataclass(frozen=True)
class Look:
    """How the lesions of one patch look alike. Lengths in mm, contrasts in HU.

    `border_mm` is the width of the transition, `keep` the share of the organ's own structure that shows through, `rim_hu` and
    `rim_mm` an enhancing (or darker) margin, `core_hu` how much darker the middle is (0: none), `necrotic` makes the core
    fluid, `calcified` the share of the lesion's inside that is chalk or lipiodol and `chalk_hu` its HU above the organ.
    """

    contrast_hu: float
    border_mm: float
    keep: float
    texture_hu: float
    texture_mm: float
    rim_hu: float
    rim_mm: float
    core_hu: float
    necrotic: bool
    calcified: float
    chalk_hu: float
    push: float
