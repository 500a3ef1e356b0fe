"""A whole-body phantom: a synthetic CT with labels of the 13 FLARE organs, drawn from a seed with NumPy alone.

It looks like a body to a network and to the ROI's rules: head, neck, arms, chest, abdomen, pelvis, legs and table, each organ
at its place with its HU in one of four contrast phases. It is not anatomy: no figure measured on it says anything of patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.grid import Grid
from flare_trt.engine.base.organs import LEFT_KIDNEY, LIVER, PANCREAS, RIGHT_KIDNEY, STOMACH, TUMOUR
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.phantom import anatomy, body
from flare_trt.engine.phantom.canvas import Axes, Canvas, Region, smooth_curve


@dataclass(frozen=True)
class PhantomOptions:
    """What is in the scan. `centre_mm` is the height of its middle above L1; None: the whole body, or where the abdomen shows."""

    centre_mm: float | None = None
    lesions: bool = False


def make_phantom(
    seed: int, shape_zyx: tuple[int, int, int], spacing_mm: tuple[float, float, float], options: PhantomOptions = PhantomOptions()
) -> tuple[Volume, Volume]:
    """An int16 CT (HU) and its uint8 labels, array axes running to superior, posterior and left.

    The body is about 1.7 m tall; a scan that is shorter shows the part around `options.centre_mm`. The same arguments give
    the same voxels. Raises InputError for an impossible grid.
    """
    grid = Grid(shape_zyx, spacing_mm)
    rng = np.random.default_rng(seed)
    stretch = rng.uniform((0.92, 0.85, 0.85), (1.08, 1.12, 1.12))
    canvas = Canvas.blank(_body_axes(grid, rng, stretch, options.centre_mm), anatomy.AIR_HU)
    inside = body.paint_body(canvas, rng)
    organs_hu = _organ_values(rng)
    _paint_organs(canvas, rng, organs_hu)
    body.paint_skeleton(canvas)
    if options.lesions:
        _paint_lesions(canvas, rng, organs_hu)
    body.paint_table(canvas)
    hu = _scanned(canvas.hu, inside, rng)
    return Volume(hu, grid), Volume(canvas.labels, grid)


def _body_axes(grid: Grid, rng: np.random.Generator, stretch: NDArray[np.float64], centre_mm: float | None) -> Axes:
    """Body coordinates of the voxels' centres."""
    height = grid.shape_zyx[0] * grid.spacing_mm[0] / stretch[0]
    if centre_mm is None:
        slack = max(0.0, height / 2 - 200)  # how far the middle may leave the abdomen without cutting it
        whole = (anatomy.TOP_MM + anatomy.BOTTOM_MM) / 2
        centre_mm = float(np.clip(whole, -slack, slack)) if height > 1000 else float(rng.uniform(-0.4, 0.8) * slack)
    middle = (centre_mm, rng.uniform(-12, 24), rng.uniform(-12, 12))
    z, y, x = (
        ((np.arange(size) - (size - 1) / 2) * mm / scale + at).astype(np.float32)
        for size, mm, scale, at in zip(grid.shape_zyx, grid.spacing_mm, stretch, middle, strict=True)
    )
    return z, y, x


def _organ_values(rng: np.random.Generator) -> dict[int, float]:
    """HU of each organ in a random mix of two neighbouring contrast phases, with each organ's own variation."""
    phase = rng.uniform(0, 3)
    values = {}
    for label, table in anatomy.PHASES_HU.items():
        values[label] = float(np.interp(phase, range(4), table) + rng.normal(0, 6))
    return values


def _paint_organs(canvas: Canvas, rng: np.random.Generator, organs_hu: dict[int, float]) -> None:
    cavity_centre, cavity_axes = anatomy.CAVITY
    for label in anatomy.PAINT_ORDER:
        shift, size = rng.normal(0, 3, 3), rng.uniform(0.88, 1.12)
        if label in anatomy.TUBES:
            curve = smooth_curve(anatomy.TUBES[label] + np.append(rng.normal(0, 2, 3) + shift, 0))
            regions = canvas.tubes(curve[:, :3], curve[:, 3] * size)
        else:
            regions = [
                canvas.ellipsoid(tuple(np.add(centre, shift)), tuple(np.multiply(axes, size)), 0.08)
                for centre, axes in anatomy.ELLIPSOIDS[label]
            ]
        for region in regions:
            if label in anatomy.UNDER_DIAPHRAGM:
                z, y, x = canvas.coordinates(region.place)
                offsets = ((axis - at) / reach for axis, at, reach in zip((z, y, x), cavity_centre, cavity_axes, strict=True))
                region = Region(region.place, region.mask & (sum(offset**2 for offset in offsets) < 0.96))
            canvas.paint(region, organs_hu[label], label)
        if label == STOMACH:
            _fill_stomach(canvas, rng)


def _fill_stomach(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fluid or contrast in the stomach, and a gas bubble at its front."""
    curve = smooth_curve(anatomy.TUBES[STOMACH])
    content = float(rng.choice([anatomy.FLUID_HU, 30.0, 180.0], p=[0.5, 0.35, 0.15]))
    for region in canvas.tubes(curve[:, :3], curve[:, 3] * 0.74):
        mine = region.mask & (canvas.labels[region.place] == STOMACH)
        canvas.paint(Region(region.place, mine), content, STOMACH)
        _, y, _ = canvas.coordinates(region.place)
        canvas.paint(Region(region.place, mine & (y < -62 + rng.uniform(-12, 12))), -900.0, STOMACH)


def _paint_lesions(canvas: Canvas, rng: np.random.Generator, organs_hu: dict[int, float]) -> None:
    """Two to five lesions in the liver, the kidneys or the pancreas, darker than their organ."""
    for _ in range(int(rng.integers(2, 6))):
        host = int(rng.choice([LIVER, LIVER, LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, PANCREAS]))
        centre, reach = anatomy.ELLIPSOIDS[host][0] if host != PANCREAS else (anatomy.TUBES[PANCREAS][1, :3], (8.0, 8.0, 8.0))
        radius = rng.uniform(12, 36) if host == LIVER else rng.uniform(9, 20)
        at = np.asarray(centre) + rng.uniform(-0.6, 0.6, 3) * np.asarray(reach)
        region = canvas.ellipsoid(tuple(at), (radius, radius * 0.9, radius * 1.1), 0.1)
        inside = region.mask & (canvas.labels[region.place] == host)
        canvas.paint(Region(region.place, inside), organs_hu[host] - rng.uniform(40, 90), TUMOUR)


def _scanned(hu: NDArray[np.float32], inside: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur of about a voxel, slow texture inside the body and the scanner's noise; int16 HU of at least -1024."""
    for axis in range(3):
        if hu.shape[axis] > 2:
            moved = np.moveaxis(hu, axis, 0)
            moved[1:-1] += 0.25 * (moved[:-2] - 2 * moved[1:-1] + moved[2:])
    noise = rng.standard_normal(hu.shape, np.float32) * np.float32(rng.uniform(6, 18))
    coarse = rng.standard_normal(tuple(-(-size // 6) for size in hu.shape), np.float32) * np.float32(rng.uniform(3, 9))
    for axis, size in enumerate(hu.shape):
        coarse = np.repeat(coarse, 6, axis)
        coarse = np.take(coarse, range(size), axis)
    noise += coarse * inside
    hu += noise
    return np.clip(np.rint(hu), -1024, 3000).astype(np.int16)
