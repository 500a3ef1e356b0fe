"""The phantom's anatomy: where each part lies in body coordinates (z up from L1, y to the back, x to the left; mm)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Label -> HU in the four contrast phases (none, arterial, portal venous, delayed); values of the radiology literature, rounded.
PHASES_HU: dict[int, tuple[float, float, float, float]] = {
    1: (58, 70, 112, 92),
    2: (33, 150, 190, 170),
    3: (48, 115, 125, 98),
    4: (42, 98, 95, 76),
    5: (42, 310, 160, 112),
    6: (40, 75, 150, 112),
    7: (32, 68, 76, 58),
    8: (32, 68, 76, 58),
    9: (8, 8, 10, 12),
    10: (36, 48, 62, 56),
    11: (32, 42, 58, 52),
    12: (34, 58, 72, 60),
    13: (33, 150, 190, 170),
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
    1: [((45, -5, -68), (74, 68, 62)), ((68, -42, 8), (38, 34, 72)), ((8, 5, -88), (62, 48, 36))],
    3: [((60, 30, 86), (46, 36, 25)), ((50, 10, 98), (36, 34, 20))],
    2: [((-8, 46, -58), (54, 29, 27))],
    13: [((6, 46, 58), (55, 29, 27))],
    9: [((-4, -48, -52), (27, 18, 15))],
    7: [((58, 33, -37), (17, 5, 10)), ((56, 40, -42), (15, 9, 4))],
    8: [((52, 26, 37), (16, 5, 10)), ((50, 32, 43), (15, 9, 4))],
}

#: Organs that are tubes: label -> (z, y, x, radius) along the middle line.
TUBES: dict[int, NDArray[np.float64]] = {
    5: np.array([(-92, 34, 2, 9), (-40, 32, 4, 9), (20, 32, 6, 10), (90, 36, 10, 11), (170, 42, 22, 12), (215, 38, 24, 13)], float),
    6: np.array([(-92, 34, -20, 11), (-30, 30, -24, 11), (30, 24, -26, 12), (75, 20, -24, 13), (112, 8, -22, 13)], float),
    10: np.array([(320, 30, 2, 7), (230, 32, 2, 7), (170, 26, 8, 8), (125, 18, 18, 8), (98, 10, 30, 8)], float),
    11: np.array(
        [(100, 14, 46, 30), (84, 0, 74, 36), (50, -30, 76, 32), (22, -56, 48, 26), (12, -60, 12, 20), (24, -44, -16, 14)], float
    ),
    12: np.array(
        [(24, -36, -28, 12), (16, -14, -46, 13), (-20, 2, -50, 13), (-46, 6, -34, 12), (-44, 8, 4, 11), (-20, 2, 32, 11)], float
    ),
    4: np.array([(-6, -14, -30, 14), (8, -22, -8, 11), (22, -14, 18, 10), (36, 6, 48, 11), (48, 20, 74, 9)], float),
}

#: Order in which organs are painted: a later one covers an earlier one.
PAINT_ORDER = (1, 11, 3, 12, 4, 9, 2, 13, 7, 8, 10, 6, 5)

#: The abdominal cavity, whose dome is the diaphragm, and the organs that keep inside it.
CAVITY = ((-22.0, -14.0, 0.0), (138.0, 92.0, 134.0))
UNDER_DIAPHRAGM = (1, 3, 11, 9)

#: Arms at the sides, or raised beside the head: (z, y, x, radius) of the left one.
ARMS_DOWN = np.array([(275, 0, 185, 48), (20, 18, 226, 38), (-235, -14, 222, 24)], float)
ARMS_UP = np.array([(268, 0, 178, 46), (400, -18, 178, 40), (575, -30, 96, 30)], float)
LEG = np.array([(-225, 8, 86, 88), (-420, 4, 80, 74), (-620, 4, 70, 56), (-780, 14, 66, 54), (-1030, 10, 60, 36)], float)
FOOT = ((-1060.0, -55.0, 62.0), (30.0, 105.0, 40.0))
HEAD = ((480.0, -8.0, 0.0), (118.0, 95.0, 74.0))

#: z of the phantom's crown and soles: what a whole-body scan has to cover.
TOP_MM, BOTTOM_MM = 605.0, -1095.0
