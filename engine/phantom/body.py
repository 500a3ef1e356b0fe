"""The phantom's body around its organs: skin to cavity, chest, bowel, limbs, head, skeleton and the table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.phantom import anatomy
from flare_trt.engine.phantom.canvas import Canvas, Region

MIRROR_X = np.array([1.0, 1.0, -1.0, 1.0])


def paint_body(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Trunk, limbs, head, chest and cavity; returns the mask of what is not air outside the body."""
    fat_mm = rng.uniform(8, 26)
    _paint_limbs(canvas, bool(rng.random() < 0.35))
    _paint_trunk(canvas, fat_mm)
    _paint_head(canvas)
    inside = canvas.hu > anatomy.AIR_HU
    _paint_chest(canvas)
    _paint_cavity(canvas, rng)
    return inside


def _paint_trunk(canvas: Canvas, fat_mm: float) -> None:
    outline = anatomy.OUTLINE
    place = canvas.place((outline[0, 0], -200, -300), (outline[-1, 0], 200, 300))
    z, y, x = canvas.coordinates(place)
    wide, deep = (np.interp(z, outline[:, 0], outline[:, column]).astype(np.float32) for column in (1, 2))
    canvas.paint(Region(place, (x / wide) ** 2 + (y / deep) ** 2 <= 1), anatomy.FAT_HU)
    canvas.paint(Region(place, (x / (wide - fat_mm)) ** 2 + (y / (deep - fat_mm * 0.8)) ** 2 <= 1), anatomy.MUSCLE_HU)


def _paint_limbs(canvas: Canvas, arms_down: bool) -> None:
    arm = anatomy.ARMS_DOWN if arms_down else anatomy.ARMS_UP
    for line, bone_mm in ((arm, 11.0), (anatomy.LEG, 15.0)):
        for side in (line, line * MIRROR_X):
            for share, hu in ((1.0, anatomy.FAT_HU), (0.86, anatomy.MUSCLE_HU)):
                for region in canvas.tubes(side[:, :3], side[:, 3] * share):
                    canvas.paint(region, hu)
            for width, hu in ((bone_mm, 900.0), (bone_mm * 0.55, anatomy.SPONGY_BONE_HU)):
                for region in canvas.tubes(side[:, :3], np.full(len(side), width)):
                    canvas.paint(region, hu)
    (z, y, x), half_axes = anatomy.FOOT
    for side_x in (x, -x):
        canvas.paint(canvas.ellipsoid((z, y, side_x), half_axes), anatomy.MUSCLE_HU)


def _paint_head(canvas: Canvas) -> None:
    (z, y, x), half_axes = anatomy.HEAD
    for share, hu in ((1.0, anatomy.MUSCLE_HU), (0.93, 1000.0), (0.85, anatomy.BRAIN_HU)):
        grown = (half_axes[0] * share, half_axes[1] * share, half_axes[2] * share)
        canvas.paint(canvas.ellipsoid((z, y, x), grown), hu)
    canvas.paint(canvas.ellipsoid((395, -45, 0), (45, 45, 55)), anatomy.MUSCLE_HU)  # jaw
    canvas.paint(canvas.ellipsoid((400, -40, 0), (18, 26, 26)), -400.0)  # mouth and throat
    for side in (-1, 1):
        canvas.paint(canvas.ellipsoid((440, -72, side * 24), (14, 12, 12)), -900.0)  # sinuses
        canvas.paint(canvas.ellipsoid((462, -78, side * 30), (12, 12, 12)), anatomy.FLUID_HU)  # eyes


def _paint_chest(canvas: Canvas) -> None:
    for side in (-1, 1):
        canvas.paint(canvas.ellipsoid((188, 4, side * 76), (122, 84, 62)), anatomy.LUNG_HU)
    canvas.paint(canvas.ellipsoid((205, 12, 4), (112, 52, 30)), -20.0)  # mediastinum
    canvas.paint(canvas.ellipsoid((160, -30, 28), (52, 46, 56)), 60.0)  # heart
    windpipe = np.array([(400, 5, 0), (300, 14, 0), (215, 18, 0)], float)
    for region in canvas.tubes(windpipe, np.array([9.0, 9.0, 9.0])):
        canvas.paint(region, -980.0)


def _paint_cavity(canvas: Canvas, rng: np.random.Generator) -> None:
    """Diaphragm, fat, bowel loops at random places, psoas muscles and the bladder."""
    centre, half_axes = anatomy.CAVITY
    wall = (half_axes[0] + 4, half_axes[1] + 4, half_axes[2] + 4)
    canvas.paint(canvas.ellipsoid(centre, wall), anatomy.MUSCLE_HU)
    canvas.paint(canvas.ellipsoid(centre, half_axes), anatomy.FAT_HU)
    canvas.paint(canvas.ellipsoid((-150, 0, 0), (95, 70, 105)), anatomy.FAT_HU)
    for _ in range(38):
        at = rng.uniform((-215, -62, -100), (-5, 25, 100))
        size = rng.uniform((9, 9, 12), (19, 19, 36))
        content = rng.choice([25.0, 45.0, 60.0, -850.0, 220.0], p=[0.3, 0.3, 0.2, 0.13, 0.07])
        canvas.paint(canvas.ellipsoid(tuple(at), tuple(size + 3)), 50.0)
        canvas.paint(canvas.ellipsoid(tuple(at), tuple(size)), float(content))
    for side in (-1, 1):
        psoas = np.array([(40, 56, 26 * side), (-60, 48, 42 * side), (-190, 10, 70 * side)], float)
        for region in canvas.tubes(psoas, np.array([10.0, 20.0, 17.0])):
            canvas.paint(region, anatomy.MUSCLE_HU)
    canvas.paint(canvas.ellipsoid((-225, -30, 0), (32, 34, 42)), anatomy.FLUID_HU)


def paint_skeleton(canvas: Canvas) -> None:
    """Spine with discs and canal, ribs, breastbone and pelvis."""
    spine = np.array([(-190, 62, 0), (-90, 56, 0), (0, 62, 0), (150, 74, 0), (300, 52, 0), (395, 28, 0)], float)
    width = np.array([20.0, 23, 22, 18, 13, 11])
    for share, hu in ((1.0, 360.0), (0.86, anatomy.SPONGY_BONE_HU)):
        for region in canvas.tubes(spine, width * share):
            z, _, _ = canvas.coordinates(region.place)
            canvas.paint(region, hu)
            canvas.paint(Region(region.place, region.mask & (np.mod(z, 31) < 7)), 85.0)
    canal = spine + np.array([0, 30, 0])
    for radius, hu in ((15.0, 420.0), (9.0, 35.0)):
        for region in canvas.tubes(canal, np.full(len(canal), radius)):
            canvas.paint(region, hu)
    _paint_ribs(canvas)
    canvas.paint(canvas.ellipsoid((205, -96, 0), (75, 6, 16)), 260.0)
    for side in (-1, 1):
        _paint_hip(canvas, side)
    canvas.paint(canvas.ellipsoid((-150, 78, 0), (52, 16, 46)), 230.0)


def _paint_ribs(canvas: Canvas) -> None:
    """A thin elliptical shell around the chest, cut into bands that fall to the front."""
    place = canvas.place((5, -130, -170), (290, 130, 170))
    z, y, x = canvas.coordinates(place)
    narrow = np.clip((300 - z) / 90, 0.45, 1)
    ring = np.sqrt((x / (142 * narrow)) ** 2 + ((y - 2) / (96 * np.sqrt(narrow))) ** 2)
    band = np.mod(z - 0.45 * y, 25) < 9
    below = z > np.where(y < -40, 60 - 0.6 * (y + 40), 8)
    canvas.paint(Region(place, (np.abs(ring - 0.96) < 0.045) & band & below), anatomy.DENSE_BONE_HU * 0.8)


def _paint_hip(canvas: Canvas, side: int) -> None:
    wing = canvas.ellipsoid((-130, 30, side * 105), (72, 62, 34))
    hollow = canvas.ellipsoid((-126, 22, side * 92), (70, 60, 34))
    canvas.paint(wing, anatomy.DENSE_BONE_HU * 0.7)
    canvas.paint(Region(hollow.place, hollow.mask & (canvas.hu[hollow.place] == np.float32(anatomy.DENSE_BONE_HU * 0.7))), 50.0)
    canvas.paint(canvas.ellipsoid((-225, 10, side * 88), (26, 26, 26)), 420.0)
    canvas.paint(canvas.ellipsoid((-250, -35, side * 28), (16, 14, 34)), 350.0)


def paint_table(canvas: Canvas) -> None:
    """The table: a hollow curved board behind the body, where it does not cut into it."""
    place = canvas.place((-2000, 100, -215), (2000, 190, 215))
    _, y, x = canvas.coordinates(place)
    depth = y + 0.0006 * x * x
    air = canvas.hu[place] <= anatomy.AIR_HU
    board = np.abs(depth - 138) < 11
    skin = board & (np.abs(depth - 138) > 8.5)
    canvas.paint(Region(place, board & air), -920.0)
    canvas.paint(Region(place, skin & air), -180.0)
