"""What is no tumour, planted without changing a label: cysts, vessels, fat, stones, gas, clips, bowel and its contrast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.tumours.filters import Floats, closed, dilated, distance_mm, eroded, gaussian, opened
from flare_trt.training.tumours.levels import Place, Placed, blend, box_around, ellipsoid, offsets_mm, random_field, tube
from flare_trt.training.tumours.recipe import FLUID_HU
from flare_trt.training.tumours.scene import Scene

Decoy = Callable[[Scene, np.random.Generator], None]

#: Lung is less dense than soft tissue and more than air; soft tissue without much contrast ends at the third, HU.
AIR_HU, LUNG_HU, SOFT_HU = -960.0, -500.0, 150.0
LIVER, KIDNEYS, GALLBLADDER, BOWEL = (1,), (2, 13), (9,), (11, 12)


def plant_decoys(scene: Scene, rng: np.random.Generator) -> None:
    """Plant up to two kinds of things that are no tumours."""
    for number in rng.choice(len(DECOYS), int(rng.integers(0, 3)), replace=False):
        DECOYS[int(number)](scene, rng)


def simple_cyst(scene: Scene, rng: np.random.Generator) -> None:
    """Round, sharp, fluid without a wall, in liver, kidney, pancreas or spleen (Bosniak I)."""
    for _ in range(int(rng.integers(1, 4))):
        organ = _one_of([LIVER, KIDNEYS, (4,), (3,)], (0.45, 0.4, 0.05, 0.1), rng)
        size_mm = float(np.exp(rng.uniform(np.log(5), np.log(55))))
        cyst = _ball(scene, organ, size_mm, 0.04, rng)
        if cyst is not None:
            _fill(scene, cyst, float(rng.uniform(*FLUID_HU)), 1.8, 0.0)


def vessels(scene: Scene, rng: np.random.Generator) -> None:
    """Bright or dark branches through the liver, 3 to 14 mm wide."""
    contrast = float(rng.uniform(15, 90) * rng.choice([1, -1], p=[0.55, 0.45]))
    for _ in range(int(rng.integers(1, 5))):
        centre = _place(scene, LIVER, rng)
        if centre is None:
            return
        box = box_around(centre, 45.0, scene.shape, scene.spacing_mm)
        steps = rng.normal(0, 1, 3) * 9 + rng.normal(0, 5, (8, 3))
        points = np.cumsum(steps, 0) - steps.sum(0) / 2
        course = tube(offsets_mm(box, centre, scene.spacing_mm), points, float(rng.uniform(1.5, 7)))
        _shift(scene, Placed(course, box), contrast, 2.5, LIVER)


def fat_plate(scene: Scene, rng: np.random.Generator) -> None:
    """Fissure fat and focal fat: a flat, ill-defined region in the liver, fat or a little darker than the liver."""
    centre = _place(scene, LIVER, rng)
    if centre is None:
        return
    box = box_around(centre, 45.0, scene.shape, scene.spacing_mm)
    axes = np.array([rng.uniform(2, 6), rng.uniform(10, 30), rng.uniform(10, 40)])
    plate = ellipsoid(offsets_mm(box, centre, scene.spacing_mm), axes, 0.25, scene.spacing_mm, rng)
    if rng.random() < 0.6:
        _fill(scene, Placed(np.minimum(plate, 6), box), float(rng.uniform(-110, -40)), 3.0, 0.0)
    else:
        _shift(scene, Placed(plate, box), float(rng.uniform(-28, -10)), 8.0, LIVER)


def stones(scene: Scene, rng: np.random.Generator) -> None:
    """Kidney stones and gallstones, 2 to 15 mm, 150 to 1200 HU."""
    for _ in range(int(rng.integers(1, 5))):
        organ = _one_of([KIDNEYS, GALLBLADDER], (0.5, 0.5), rng)
        stone = _ball(scene, organ, float(rng.uniform(2, 15)), 0.15, rng)
        if stone is not None:
            _fill(scene, stone, float(rng.uniform(150, 1200)), 1.5, 0.0)


def gas(scene: Scene, rng: np.random.Generator) -> None:
    """Gas in stomach, duodenum and bowel."""
    for _ in range(int(rng.integers(1, 4))):
        bubble = _ball(scene, _one_of([BOWEL, (0,)], (0.6, 0.4), rng), float(rng.uniform(6, 35)), 0.15, rng)
        if bubble is not None:
            _fill(scene, bubble, float(rng.uniform(-950, -700)), 2.0, 0.0)


def clips(scene: Scene, rng: np.random.Generator) -> None:
    """Surgical clips and coils: a few mm of metal with streaks in its slices."""
    for _ in range(int(rng.integers(1, 4))):
        organ = _one_of([LIVER, GALLBLADDER, (0,)], (0.4, 0.2, 0.4), rng)
        clip = _ball(scene, organ, float(rng.uniform(3, 7)), 0.1, rng)
        if clip is None:
            continue
        _fill(scene, clip, float(rng.uniform(900, 3000)), 1.5, 0.0)
        _streaks(scene, np.array([(part.start + part.stop) // 2 for part in clip.place]), rng)


def bowel_contrast(scene: Scene, rng: np.random.Generator) -> None:
    """Oral contrast or food: stomach and duodenum filled with 80 to 400 HU, or with something patchy."""
    inside = eroded(scene.of(BOWEL), 2)
    if not inside.any():
        return
    if rng.random() < 0.5:
        filled = np.float32(rng.uniform(60, 400)) + np.zeros(scene.shape, np.float32)
    else:
        filled = np.float32(rng.uniform(-20, 50)) + rng.uniform(20, 90) * random_field(scene.shape, np.array([1.5, 3, 3]), rng)
    alpha = gaussian(inside.astype(np.float32), (0.8, 0.8, 0.8)) * (scene.smooth > -300)
    scene.hu += alpha * (filled - scene.smooth)
    scene.smooth += alpha * (filled - scene.smooth)


def bowel_loops(scene: Scene, rng: np.random.Generator) -> None:
    """Unopacified bowel and nodes: soft or fluid balls and tubes in the fat beside the organs."""
    fat = (scene.labels == 0) & (scene.smooth > -130) & (scene.smooth < -60)
    for _ in range(int(rng.integers(1, 4))):
        places = np.flatnonzero(fat)
        if places.size < 100:
            return
        centre = np.array(np.unravel_index(int(rng.choice(places)), scene.shape))
        box = box_around(centre, 40.0, scene.shape, scene.spacing_mm)
        points = np.cumsum(rng.normal(0, 9, (4, 3)), 0)
        loop = tube(offsets_mm(box, centre, scene.spacing_mm), points - points.mean(0), float(rng.uniform(4, 16)))
        loop = np.where(scene.labels_in(box) == 0, loop, np.minimum(loop, -3))
        _fill(scene, Placed(loop, box), float(rng.uniform(5, 60)), 2.5, float(rng.uniform(0, 60)))


def pleural_effusion(scene: Scene, rng: np.random.Generator) -> None:
    """Fluid in the dependent lung: it lies along the diaphragm, where liver and spleen begin."""
    lung = (scene.labels == 0) & (scene.smooth > AIR_HU) & (scene.smooth < LUNG_HU)
    lung = opened(lung, 2)
    rows = np.flatnonzero(lung.any((0, 2)))
    if rows.size < 10:
        return
    level = rows[-1] - rng.uniform(0.1, 0.6) * rows.size
    lung[:, : int(level)] = False
    _pour(scene, dilated(closed(lung, 3), 2), rng)


def ascites(scene: Scene, rng: np.random.Generator) -> None:
    """Fluid in the fat around liver or spleen, up to 20 mm wide."""
    organ = scene.of((LIVER, (3,))[int(rng.random() < 0.3)])
    if not organ.any():
        return
    limit_mm = rng.uniform(4, 14) + 6 * random_field(scene.shape, np.array([5, 8, 8]), rng)
    away_mm = distance_mm(organ, scene.spacing_mm, float(limit_mm.max()))
    _pour(scene, (away_mm < limit_mm) & (scene.smooth > -150) & (scene.smooth < -20), rng)


DECOYS: tuple[Decoy, ...] = (
    simple_cyst,
    vessels,
    fat_plate,
    stones,
    gas,
    clips,
    bowel_contrast,
    bowel_loops,
    pleural_effusion,
    ascites,
)


def _one_of(choices: list[tuple[int, ...]], shares: tuple[float, ...], rng: np.random.Generator) -> tuple[int, ...]:
    return choices[int(rng.choice(len(choices), p=shares))]


def _place(scene: Scene, labels: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64] | None:
    """A random tissue voxel of the labels, none where there is none."""
    places = np.flatnonzero(scene.of(labels) & (scene.smooth > -150))
    return np.array(np.unravel_index(int(rng.choice(places)), scene.shape)) if places.size > 50 else None


def _ball(scene: Scene, labels: tuple[int, ...], size_mm: float, roughness: float, rng: np.random.Generator) -> Placed | None:
    centre = _place(scene, labels, rng)
    if centre is None:
        return None
    box = box_around(centre, 0.8 * size_mm, scene.shape, scene.spacing_mm)
    axes = size_mm / 2 * np.exp(rng.uniform(-0.2, 0.2, 3))
    return Placed(ellipsoid(offsets_mm(box, centre, scene.spacing_mm), axes, roughness, scene.spacing_mm, rng), box)


def _fill(scene: Scene, what: Placed, hu: float, border_mm: float, wall_hu: float) -> None:
    """Replace by a value, with the scan's noise, outside tumours; `wall_hu` adds a brighter wall of 2 mm."""
    box = what.place
    target = np.float32(hu) + np.float32(wall_hu) * np.exp(-(((what.inside_mm - 1.5) / 1.5) ** 2))
    _mix(scene, box, blend(what.inside_mm, border_mm), target - scene.smooth[box])


def _pour(scene: Scene, where: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Fluid, with the noise of the scan's soft tissue, in place of what is darker and belongs to no organ."""
    tissue = (scene.smooth > 0) & (scene.smooth < SOFT_HU)
    # by the median: vessels and organs' borders are no noise
    noise_hu = 1.48 * float(np.median(np.abs((scene.hu - scene.smooth)[tissue]))) if tissue.any() else 0.0
    fluid = np.float32(rng.uniform(-4, 28)) + np.float32(noise_hu) * random_field(scene.shape, np.full(3, 0.6), rng)
    share = gaussian((where & (scene.labels == 0)).astype(np.float32), (0.5, 0.5, 0.5))
    whole = (slice(0, None),) * 3
    _mix(scene, whole, share * (scene.smooth < fluid), fluid - scene.hu)


def _shift(scene: Scene, what: Placed, by_hu: float, border_mm: float, inside: tuple[int, ...]) -> None:
    """Add a contrast within some labels."""
    within = np.isin(scene.labels_in(what.place), inside)
    _mix(scene, what.place, blend(what.inside_mm, border_mm) * within, np.full(within.shape, by_hu, np.float32))


def _mix(scene: Scene, box: Place, alpha: Floats, change: Floats) -> None:
    alpha = alpha * (1 - scene.tumour[box])
    scene.hu[box] += alpha * change
    scene.smooth[box] += alpha * change


def _streaks(scene: Scene, centre: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Dark and bright rays from metal, in its slice and the next ones."""
    z, y, x = (int(at) for at in centre)
    _, height, width = scene.shape
    rows, columns = np.ogrid[:height, :width]
    angle, distance = np.arctan2(rows - y, columns - x), np.hypot(rows - y, columns - x)
    rays = sum(np.cos(int(rng.integers(3, 12)) * angle + rng.uniform(0, 6.3)) for _ in range(3))
    plane = (float(rng.uniform(15, 90)) * rays * np.exp(-distance / rng.uniform(6, 20))).astype(np.float32)
    scene.hu[max(0, z - 1) : z + 2] += plane
