"""Training patches: cut from teacher views, from phantoms, or from views that a phantom's body carries on above and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flare_trt.engine.phantom.anatomy import BOTTOM_MM, TOP_MM
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.intensity import vary_intensity
from flare_trt.training.distil.soft_labels import SoftLabels
from flare_trt.training.distil.views import AIR_HU, View, normalise
from flare_trt.training.distil.warp import Lattice, Triple, Vector, Warp, draw_warp, sample

#: Voxels around a patch that are read from a view, so that a turned patch finds its corners.
HALO_MM = 40.0

#: Where the middle of a phantom patch lies, mm above L1: abdomens to find, heads to leave alone, everything.
PHANTOM_SPANS_MM = ((-150.0, 200.0), (380.0, TOP_MM), (BOTTOM_MM, TOP_MM))


@dataclass(frozen=True)
class Patch:
    """A normalised float32 image (z, y, x) and its target probabilities (c, z, y, x)."""

    image: Tensor
    target: Tensor


def draw_patch(views: Sequence[View], config: DistilConfig, rng: np.random.Generator) -> Patch:
    """One random training patch of `config.train_patch_zyx` voxels."""
    kind = rng.random()
    if kind < config.mix.phantom:
        hu, target = phantom_patch(config, rng)
    else:
        hu, target = _view_patch(views[int(rng.integers(len(views)))], config, rng)
        if kind < config.mix.phantom + config.mix.extended:
            hu, target = _carry_on(hu, target, config, rng)
    return finished(hu, target, config, rng)


def finished(hu: Tensor, target: Tensor, config: DistilConfig, rng: np.random.Generator) -> Patch:
    """The patch as one of many scans shows it: circle of view, intensity, ends of the scan; normalised."""
    if rng.random() < config.mix.circle:
        hu, target = _circle_of_view(hu, target, rng)
    if rng.random() < config.mix.intensity:
        hu = vary_intensity(hu, rng)
    image = torch.from_numpy(normalise(hu.numpy(), config.teacher.intensity))
    if rng.random() < config.mix.short:
        image, target = _short_scan(image, target, rng)
    return Patch(image, target)


def _view_patch(view: View, config: DistilConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A turned, zoomed patch at a random place that shows as much of the view as it can."""
    warp = draw_warp(rng, config.data.patch_warp)
    size_mm = np.array(view.image_hu.shape) * np.array(view.spacing_mm)
    half_mm = np.array(config.train_patch_zyx) * np.array(config.spacing_mm) / 2
    low, high = np.minimum(half_mm, size_mm / 2), np.maximum(size_mm - half_mm, size_mm / 2)
    middle_mm = rng.uniform(low - 0.1 * half_mm, high + 0.1 * half_mm)
    coarse = np.prod(config.spacing_mm) >= 4 * np.prod(view.spacing_mm)
    return cut_view(view, Cut(config.train_patch_zyx, config.spacing_mm, middle_mm, warp), config.network.channels, coarse)


@dataclass(frozen=True)
class Cut:
    """A patch to take from a view: voxels, their spacing, its middle (z, y, x) in mm from the view's corner, how it is turned."""

    shape_zyx: Triple
    spacing_mm: Vector
    middle_mm: NDArray[np.float64]
    warp: Warp


def cut_view(view: View, cut: Cut, channels: int, coarse: bool = False) -> tuple[Tensor, Tensor]:
    """HU (z, y, x) and probabilities (channels, z, y, x) of a patch; `coarse` takes the labels of 2x2x2 voxels."""
    hu = cut_image(view, cut)
    place, at_mm = _read(view, cut)
    labels, labels_mm = view.labels.cut(place), np.array(view.spacing_mm)
    if coarse:
        half = tuple(slice(part.start // 2, part.stop // 2) for part in place)
        labels, labels_mm, at_mm = view.half_labels.cut(half), 2 * labels_mm, at_mm - 0.5 * labels_mm
    counts = np.bincount(labels.classes.ravel(), minlength=channels)
    shown = np.union1d(0, np.flatnonzero(counts))  # background first; classes that the patch lacks cost nothing
    organs = SoftLabels(np.searchsorted(shown, labels.classes).astype(np.uint8), labels.shares).dense(len(shown))[1:]
    target = torch.zeros((channels, *cut.shape_zyx))
    if len(shown) > 1:
        target[shown[1:].tolist()] = sample(organs, _vector(labels_mm), _lattice(cut, at_mm), cut.warp)
    target[0] = (1 - target[1:].sum(0)).clamp(min=0)
    return hu, target


def cut_image(view: View, cut: Cut) -> Tensor:
    """HU (z, y, x) of a patch, air outside the view."""
    place, at_mm = _read(view, cut)
    above_air = np.maximum(view.image_hu[place], AIR_HU).astype(np.float32) - AIR_HU
    return sample(torch.from_numpy(above_air)[None], view.spacing_mm, _lattice(cut, at_mm), cut.warp)[0] + AIR_HU


def cut_classes(view: View, cut: Cut) -> Tensor:
    """The likeliest class (uint8, z, y, x) of the view's voxel nearest to each of the patch, background outside the view."""
    place, at_mm = _read(view, cut)
    classes = torch.from_numpy(view.labels.classes[0][place].astype(np.float32))[None]
    return sample(classes, view.spacing_mm, _lattice(cut, at_mm), cut.warp, "nearest")[0].byte()


def _read(view: View, cut: Cut) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
    """The box of the view's voxels that a patch is taken from, and where in it the patch's middle lies (mm)."""
    view_mm, half_mm = np.array(view.spacing_mm), np.array(cut.shape_zyx) * np.array(cut.spacing_mm) / 2
    start = np.maximum((cut.middle_mm - half_mm - HALO_MM) / view_mm, 0).astype(int) // 2 * 2
    stop = np.ceil((cut.middle_mm + half_mm + HALO_MM) / view_mm).astype(int) // 2 * 2
    place = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return place, cut.middle_mm - start * view_mm


def _lattice(cut: Cut, middle_mm: NDArray[np.float64]) -> Lattice:
    return Lattice(cut.shape_zyx, cut.spacing_mm, _vector(middle_mm))


def _vector(values: NDArray[np.float64]) -> Vector:
    z, y, x = (float(value) for value in values)
    return z, y, x


def _phantom(config: DistilConfig, rng: np.random.Generator, centre_mm: float) -> tuple[Tensor, Tensor]:
    options = PhantomOptions(centre_mm=centre_mm)
    ct, labels = make_phantom(int(rng.integers(2**31)), config.train_patch_zyx, config.spacing_mm, options)
    return torch.from_numpy(ct.array.astype(np.float32)), _one_hot(labels.array, config.network.channels)


def phantom_patch(config: DistilConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A phantom about its abdomen, about its head, or at any height."""
    span = PHANTOM_SPANS_MM[int(rng.integers(len(PHANTOM_SPANS_MM)))]
    return _phantom(config, rng, float(rng.uniform(*span)))


def _carry_on(hu: Tensor, target: Tensor, config: DistilConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replace the patch above (or below) a random plane by a phantom's chest and head (or pelvis and legs)."""
    plane = int(rng.uniform(0.25, 0.75) * hu.shape[0])
    upwards = bool(rng.random() < 0.5)
    centre = float(rng.uniform(250, 500)) if upwards else float(rng.uniform(-900, -350))
    other_hu, other_target = _phantom(config, rng, centre)
    part = slice(plane, None) if upwards else slice(None, plane)
    hu, target = hu.clone(), target.clone()
    hu[part], target[:, part] = other_hu[part], other_target[:, part]
    return hu, target


def _one_hot(labels: NDArray[np.uint8], channels: int) -> Tensor:
    known = torch.from_numpy(np.where(labels < channels, labels, 0).astype(np.int64))
    return functional.one_hot(known, channels).permute(3, 0, 1, 2).float()


def _circle_of_view(hu: Tensor, target: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blank what lies outside an upright cylinder, as reconstruction does; what is not seen is background."""
    _, height, width = hu.shape
    y, x = np.ogrid[:height, :width]
    radius = rng.uniform(0.38, 0.55) * max(height, width)
    middle = rng.uniform(0.42, 0.58, 2) * (height, width)
    outside = torch.from_numpy((y - middle[0]) ** 2 + (x - middle[1]) ** 2 > radius**2)
    return torch.where(outside, torch.tensor(-1024.0), hu), _only_background(target, outside.expand(hu.shape))


def _short_scan(image: Tensor, target: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Keep a box and put the padding of a scan that is smaller than the patch (0 in normalised units) around it.

    Half of the boxes are slabs: whole in plane.
    """
    shape = np.array(image.shape)
    least = np.array([0.25, 0.5, 0.5]) if rng.random() < 0.5 else np.array([0.25, 1.0, 1.0])
    keep = np.maximum(1, (rng.uniform(least, 1.0) * shape).astype(int))
    low = (shape - keep) // 2  # the padding is centred
    shift = rng.integers(0, shape - keep + 1)
    here = tuple(slice(int(a), int(a + n)) for a, n in zip(low, keep, strict=True))
    there = tuple(slice(int(a), int(a + n)) for a, n in zip(shift, keep, strict=True))
    result, moved, outside = torch.zeros_like(image), torch.zeros_like(target), torch.ones(image.shape, dtype=torch.bool)
    result[here], moved[(slice(None), *here)], outside[here] = image[there], target[(slice(None), *there)], False
    return result, _only_background(moved, outside)


def _only_background(target: Tensor, where: Tensor) -> Tensor:
    result = torch.where(where, torch.zeros(()), target)
    result[0] = torch.where(where, torch.ones(()), result[0])
    return result
