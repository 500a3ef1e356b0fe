"""The phantom's anatomy: where each part lies in body coordinates (z up from L1, y to the back, x to the left; mm)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base import organs

#: Label -> HU in the four contrast phases (none, arterial, portal venous, delayed); values of the radiology literature, rounded.
PHASES_HU: dict[int, tuple[float, float, float, float]] = {
    organs.LIVER: (58, 70, 112, 92),
    organs.RIGHT_KIDNEY: (33, 150, 190, 170),
    organs.SPLEEN: (48, 115, 125, 98),
    organs.PANCREAS: (42, 98, 95, 76),
    organs.AORTA: (42, 310, 160, 112),
    organs.VENA_CAVA: (40, 75, 150, 112),
    organs.RIGHT_ADRENAL: (32, 68, 76, 58),
    organs.LEFT_ADRENAL: (32, 68, 76, 58),
    organs.GALLBLADDER: (8, 8, 10, 12),
    organs.ESOPHAGUS: (36, 48, 62, 56),
    organs.STOMACH: (32, 42, 58, 52),
    organs.DUODENUM: (34, 58, 72, 60),
    organs.LEFT_KIDNEY: (33, 150, 190, 170),
}
FAT_HU, MUSCLE_HU, LUNG_HU, AIR_HU, FLUID_HU, BRAIN_HU = -102.0, 56.0, -850.0, -1000.0, 12.0, 36.0
SPONGY_BONE_HU, DENSE_BONE_HU = 190.0, 620.0

#: Trunk and neck outline: z, half width to the side, half width front to back.
OUTLINE: NDArray[np.float64] = np.array(
    [
        (-275, 165, 98),
        (-200, 176, 114),
        (-100, 162, 110),
        (0, 156, 108),
        (100, 162, 112),
        (200, 168, 112),
        (262, 182, 100),
        (295, 160, 84),
        (322, 80, 68),
        (345, 60, 62),
        (385, 58, 64),
    ],
    float,
)

#: Abdominal organs that are ellipsoids: label -> list of (centre, half axes).
ELLIPSOIDS: dict[int, list[tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    organs.LIVER: [((45, -5, -68), (74, 68, 62)), ((68, -42, 8), (38, 34, 72)), ((8, 5, -88), (62, 48, 36))],
    organs.SPLEEN: [((60, 30, 86), (46, 36, 25)), ((50, 10, 98), (36, 34, 20))],
    organs.RIGHT_KIDNEY: [((-8, 46, -58), (54, 29, 27))],
    organs.LEFT_KIDNEY: [((6, 46, 58), (55, 29, 27))],
    organs.GALLBLADDER: [((-4, -48, -52), (27, 18, 15))],
    organs.RIGHT_ADRENAL: [((58, 33, -37), (17, 5, 10)), ((56, 40, -42), (15, 9, 4))],
    organs.LEFT_ADRENAL: [((52, 26, 37), (16, 5, 10)), ((50, 32, 43), (15, 9, 4))],
}

#: Organs that are tubes: label -> (z, y, x, radius) along the middle line.
TUBES: dict[int, NDArray[np.float64]] = {
    organs.AORTA: np.array(
        [(-92, 34, 2, 9), (-40, 32, 4, 9), (20, 32, 6, 10), (90, 36, 10, 11), (170, 42, 22, 12), (215, 38, 24, 13)], float
    ),
    organs.VENA_CAVA: np.array(
        [(-92, 34, -20, 11), (-30, 30, -24, 11), (30, 24, -26, 12), (75, 20, -24, 13), (112, 8, -22, 13)], float
    ),
    organs.ESOPHAGUS: np.array([(320, 30, 2, 7), (230, 32, 2, 7), (170, 26, 8, 8), (125, 18, 18, 8), (98, 10, 30, 8)], float),
    organs.STOMACH: np.array(
        [(100, 14, 46, 30), (84, 0, 74, 36), (50, -30, 76, 32), (22, -56, 48, 26), (12, -60, 12, 20), (24, -44, -16, 14)], float
    ),
    organs.DUODENUM: np.array(
        [(24, -36, -28, 12), (16, -14, -46, 13), (-20, 2, -50, 13), (-46, 6, -34, 12), (-44, 8, 4, 11), (-20, 2, 32, 11)], float
    ),
    organs.PANCREAS: np.array([(-6, -14, -30, 14), (8, -22, -8, 11), (22, -14, 18, 10), (36, 6, 48, 11), (48, 20, 74, 9)], float),
}

#: Order in which organs are painted: a later one covers an earlier one.
PAINT_ORDER = (
    organs.LIVER,
    organs.STOMACH,
    organs.SPLEEN,
    organs.DUODENUM,
    organs.PANCREAS,
    organs.GALLBLADDER,
    organs.RIGHT_KIDNEY,
    organs.LEFT_KIDNEY,
    organs.RIGHT_ADRENAL,
    organs.LEFT_ADRENAL,
    organs.ESOPHAGUS,
    organs.VENA_CAVA,
    organs.AORTA,
)

#: The abdominal cavity, whose dome is the diaphragm, and the organs that keep inside it.
CAVITY = ((-22.0, -14.0, 0.0), (138.0, 92.0, 134.0))
UNDER_DIAPHRAGM = (organs.LIVER, organs.SPLEEN, organs.STOMACH, organs.GALLBLADDER)

#: Arms at the sides, or raised beside the head: (z, y, x, radius) of the left one.
ARMS_DOWN = np.array([(275, 0, 185, 48), (20, 18, 226, 38), (-235, -14, 222, 24)], float)
ARMS_UP = np.array([(268, 0, 178, 46), (400, -18, 178, 40), (575, -30, 96, 30)], float)
LEG = np.array([(-225, 8, 86, 88), (-420, 4, 80, 74), (-620, 4, 70, 56), (-780, 14, 66, 54), (-1030, 10, 60, 36)], float)
FOOT = ((-1060.0, -55.0, 62.0), (30.0, 105.0, 40.0))
HEAD = ((480.0, -8.0, 0.0), (118.0, 95.0, 74.0))

#: z of the phantom's crown and soles: what a whole-body scan has to cover.
TOP_MM, BOTTOM_MM = 605.0, -1095.0
