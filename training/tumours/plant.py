"""Plants lesions into a scene: shape, mass effect, HU with rim, core, chalk and the scan's own noise, and the label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.tumours.filters import Floats, distance_mm, sampled
from flare_trt.training.tumours.levels import Place, Placed, blend, box_around, ellipsoid, offsets_mm, random_field
from flare_trt.training.tumours.recipe import FLUID_HU, HOSTS, LEAST_SOLID_HU, TUMOUR, Contrast, Host, Look
from flare_trt.training.tumours.scene import FULL, Scene

#: An organ needs so many voxels in the patch to be a host.
LEAST_HOST_VOXELS = 150
#: Up to this diameter an organ may hold as many lesions as it can, mm.
MANY_MM = 30.0
#: Tissue that a lesion may grow into beside its organ, HU of the smoothed scan: fat and soft tissue, neither gas nor bone.
SOFT_TISSUE_HU = (-190.0, 130.0)
#: Distances into the space that a lesion may fill, and away from it, are capped at these, mm; no border is wider.
DEEPEST_MM, FARTHEST_MM = 60.0, 15.0


def draw_look(host: Host, rng: np.random.Generator) -> Look:
    """The look that the lesions of one patch share."""
    contrast = _kind(host.contrasts, rng)
    level = rng.uniform(contrast.low_hu, contrast.high_hu)
    faint = abs(level) < 15
    return Look(
        contrast_hu=level,
        border_mm=float(rng.uniform(1.0, 7.0)),
        keep=float(rng.choice([0.0, 0.3, 0.8], p=[0.5, 0.3, 0.2])),
        texture_hu=float(rng.uniform(2, 18 if faint else 12)),
        texture_mm=float(rng.uniform(2.5, 9)),
        rim_hu=float(rng.uniform(14, 50) * rng.choice([1, -1], p=[0.75, 0.25])) if faint or rng.random() < 0.3 else 0.0,
        rim_mm=float(rng.uniform(1.5, 5)),
        core_hu=float(rng.uniform(10, 40)) if rng.random() < 0.35 else 0.0,
        necrotic=bool(rng.random() < 0.3),
        calcified=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.1 else 0.0,
        chalk_hu=float(np.exp(rng.uniform(np.log(50), np.log(500)))),
        push=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.6 else 0.0,
    )


def plant_lesions(scene: Scene, rng: np.random.Generator) -> int:
    """Plant some lesions into one to three organs of the scene; returns how many (0 where no organ is large enough)."""
    hosts = [host for host in HOSTS if np.count_nonzero(_ground(scene, host)) >= LEAST_HOST_VOXELS]
    if not hosts:
        return 0
    weights = np.array([host.weight for host in hosts])
    planted = 0
    for _ in range(int(rng.integers(1, 4))):
        host = hosts[int(rng.choice(len(hosts), p=weights / weights.sum()))]
        look = draw_look(host, rng)
        largest = float(np.exp(rng.uniform(np.log(host.size_mm[0] * 1.8), np.log(host.size_mm[1]))))
        most = max(1, round(host.most * min(1.0, MANY_MM / largest)))  # many small ones, or few large ones
        for _ in range(int(rng.integers(1, most + 1))):
            size_mm = float(np.exp(rng.uniform(np.log(max(host.size_mm[0], 0.35 * largest)), np.log(largest))))
            own = replace(look, contrast_hu=look.contrast_hu + rng.uniform(-10, 10))
            planted += plant_lesion(scene, host, own, size_mm, rng)
    return planted


def plant_lesion(scene: Scene, host: Host, look: Look, size_mm: float, rng: np.random.Generator) -> bool:
    """Plant one lesion of about `size_mm` at a random place of its organ; False where no place is left."""
    ground = _ground(scene, host)
    places = np.flatnonzero(ground)
    if not places.size:
        return False
    median_hu = float(np.median(scene.hu[scene.of(host.labels) & ground]))
    centre = np.array(np.unravel_index(int(rng.choice(places)), scene.shape))
    outward = rng.random() < host.outward
    if outward and not host.wall:
        centre = _towards_surface(ground, centre, size_mm, scene, rng)
    place = box_around(centre, 1.05 * size_mm, scene.shape, scene.spacing_mm)
    offsets = offsets_mm(place, centre, scene.spacing_mm)
    if look.push and size_mm > 10:
        _push(scene, place, offsets, look.push, size_mm / 2)
    axes = size_mm / 2 * np.exp(rng.uniform(-0.3, 0.3, 3))
    distance = ellipsoid(offsets, axes, float(rng.uniform(0.03, 0.28)), scene.spacing_mm, rng)
    distance = np.minimum(distance, _room_mm(scene, host, place, size_mm * rng.uniform(0.25, 0.8) if outward else 1.0))
    if np.count_nonzero(distance > 0) < 12:
        return False
    _paint(scene, Placed(distance, place), look, median_hu, rng)
    _label(scene, Placed(distance, place))
    return True


def _kind(contrasts: tuple[Contrast, ...], rng: np.random.Generator) -> Contrast:
    return contrasts[int(rng.choice(len(contrasts), p=[kind.share for kind in contrasts]))]


def _ground(scene: Scene, host: Host) -> NDArray[np.bool_]:
    """Where a lesion of the organ may start: parts of it that are tissue and whose label is trusted."""
    soft = (scene.smooth > -60) & (scene.smooth < 260)
    result: NDArray[np.bool_] = scene.of(host.labels) & soft & (scene.trust == FULL)
    return result


def _towards_surface(
    ground: NDArray[np.bool_], centre: NDArray[np.int64], size_mm: float, scene: Scene, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The voxel nearest the organ's surface on a random way out, stepped on by up to a third of the lesion."""
    direction = rng.standard_normal(3)
    step = direction / np.linalg.norm(direction) / np.array(scene.spacing_mm)
    way = centre + np.arange(0, 120, 1.5)[:, None] * step
    rows = np.clip(np.rint(way).astype(int), 0, np.array(scene.shape) - 1)
    outside = ~ground[tuple(rows.T)]
    reach = int(outside.argmax()) if outside.any() else 0
    reach = max(0, reach + int(rng.uniform(-0.35, 0.3) * size_mm / 1.5))
    result: NDArray[np.int64] = rows[min(reach, len(rows) - 1)]
    return result


def _push(scene: Scene, place: Place, offsets: Floats, strength: float, radius_mm: float) -> None:
    """Mass effect: what lies about the lesion moves outwards by up to `strength` times 0.4 of its radius, the labels with it."""
    distance = np.linalg.norm(offsets, axis=-1)
    factor = 1 - strength * np.exp(-((distance / np.float32(radius_mm)) ** 2))
    come_from = [
        grid - (1 - factor) * offsets[..., axis] / np.float32(scene.spacing_mm[axis])
        for axis, grid in enumerate(np.indices(distance.shape, np.float32))
    ]
    moving = [scene.hu[place], scene.smooth[place], scene.tumour[place]]
    for array, moved in zip(moving, sampled(np.stack(moving), come_from), strict=True):
        array[...] = moved
    whole = [scene.organs[place], scene.trust[place], scene.lesions[place]]
    for numbers, moved in zip(whole, sampled(np.stack(whole).astype(np.float32), come_from, nearest=True), strict=True):
        numbers[...] = moved


def _room_mm(scene: Scene, host: Host, place: Place, beyond_mm: float) -> Floats:
    """Signed distance (mm) to where the lesion may be: its organ, lesions, and soft tissue of no organ up to `beyond_mm` away."""
    box = place
    labels = scene.labels_in(box)
    own = np.isin(labels, (*host.labels, TUMOUR))
    if host.wall:  # the wall, not the gas within
        own &= scene.smooth[box] > -150
    outside = distance_mm(own, scene.spacing_mm, beyond_mm)
    low, high = SOFT_TISSUE_HU
    free = (labels == 0) & (scene.smooth[box] > low) & (scene.smooth[box] < high)
    allowed = own | (free & (outside < beyond_mm))
    inner = distance_mm(~allowed, scene.spacing_mm, DEEPEST_MM)
    outer = distance_mm(allowed, scene.spacing_mm, FARTHEST_MM)
    result: Floats = (inner - outer - 0.8 * (inner > 0) + 0.8 * (outer > 0)).astype(np.float32)
    return result


def _paint(scene: Scene, lesion: Placed, look: Look, median_hu: float, rng: np.random.Generator) -> None:
    box, depth = lesion.place, lesion.inside_mm
    base = max(median_hu + look.contrast_hu, LEAST_SOLID_HU)
    smooth, hu = scene.smooth[box], scene.hu[box]
    noise = hu - smooth
    sigma = np.maximum(0.5, look.texture_mm / np.array(scene.spacing_mm) / 2)
    inner = np.float32(base) + look.texture_hu * random_field(depth.shape, sigma, rng)
    if look.rim_hu:
        inner += look.rim_hu * np.exp(-(((depth - look.rim_mm / 2) / look.rim_mm) ** 2)).astype(np.float32)
    deepest = float(depth.max())
    if look.core_hu and deepest > 5:
        core = blend(depth - deepest * np.float32(rng.uniform(0.3, 0.6)) + random_field(depth.shape, 2 * sigma, rng), 3.0)
        low = np.float32(rng.uniform(*FLUID_HU) + 6) if look.necrotic else inner - np.float32(look.core_hu)
        inner += core * (low - inner)
    if look.calcified:
        spots = random_field(depth.shape, np.maximum(0.5, rng.uniform(1.5, 4) / np.array(scene.spacing_mm)), rng)
        chalk = blend((spots - np.float32(np.quantile(spots, 1 - look.calcified))) * 3, 3.0)
        inner += chalk * look.chalk_hu * np.clip(0.6 + 0.4 * spots, 0.1, 1.5)
    own_structure = np.clip(smooth - np.float32(median_hu), -40, 40) * look.keep
    alpha = blend(depth, look.border_mm)
    scene.hu[box] += alpha * (inner + own_structure - smooth)
    scene.smooth[box] = scene.hu[box] - noise


def _label(scene: Scene, lesion: Placed) -> None:
    """The lesion's voxels become tumour, by partial volume at the surface; what is planted is known, so it is trusted."""
    box = lesion.place
    share = np.clip(0.5 + lesion.inside_mm / np.float32(np.mean(scene.spacing_mm)), 0, 1).astype(np.float32)
    scene.tumour[box] += share * (1 - scene.tumour[box])
    scene.trust[box] = np.where(share > 0.5, FULL, scene.trust[box])
    scene.lesions[box] = np.where(share > 0.5, scene.lesions.max() + 1, scene.lesions[box])
