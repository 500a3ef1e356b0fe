"""One training patch: cut from a view, or a phantom; contrast phase varied, lesions and decoys planted, scanner varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.patches import Cut, cut_classes, cut_image, phantom_patch
from flare_trt.training.distil.views import View, open_view
from flare_trt.training.distil.warp import draw_warp
from flare_trt.training.tumours.agreement import SUSPECT
from flare_trt.training.tumours.decoys import plant_decoys
from flare_trt.training.tumours.partial import mark_suspects
from flare_trt.training.tumours.phase import vary_phase
from flare_trt.training.tumours.plant import plant_lesions
from flare_trt.training.tumours.recipe import CHANNELS, HOSTS
from flare_trt.training.tumours.scans import vary_scanner
from flare_trt.training.tumours.scene import FULL, IGNORED, Scene

#: Shares of the view patches: about an organ that may hold a tumour (the rest lies anywhere in the body), and of those without.
ABOUT_A_HOST, WITHOUT_LESION = 0.75, 0.1
#: Above this the body begins, HU.
BODY_HU = -300


@dataclass(frozen=True)
class NamedView:
    """A view and the CT's folder name, which says where undrawn tumours may be."""

    ct: str
    view: View


def named_views(cache: Path) -> list[NamedView]:
    """All views of a cache of `agreed_views`; a view's folder is named after its CT and a number."""
    return [
        NamedView(file.parent.name.rpartition("-")[0], open_view(file.parent)) for file in sorted(cache.glob("*-???/view.json"))
    ]


def draw_scene(views: Sequence[NamedView], config: DistilConfig, rng: np.random.Generator) -> Scene:
    """A patch of `config.train_patch_zyx` voxels, from `config.mix.phantom` phantoms and the views."""
    if rng.random() < config.mix.phantom:
        scene = _phantom(config, rng)
    else:
        named = views[int(rng.integers(len(views)))]
        scene = _cut(named.view, config, rng)
        mark_suspects(scene, named.ct)
    vary_phase(scene, rng)
    plant_decoys(scene, rng)
    if rng.random() >= WITHOUT_LESION:
        plant_lesions(scene, rng)
    scene.hu = vary_scanner(scene.hu, scene.spacing_mm, rng)
    return scene


def _phantom(config: DistilConfig, rng: np.random.Generator) -> Scene:
    hu, target = phantom_patch(config, rng)
    return Scene(hu.numpy(), target.argmax(0).byte().numpy(), np.full(hu.shape, FULL, np.uint8), config.spacing_mm)


def _cut(view: View, config: DistilConfig, rng: np.random.Generator) -> Scene:
    middle_mm = _middle(view, config, rng)
    cut = Cut(config.train_patch_zyx, config.spacing_mm, middle_mm, draw_warp(rng, config.data.patch_warp))
    classes = cut_classes(view, cut).numpy()
    return Scene(
        cut_image(view, cut).numpy(),
        np.where(classes < CHANNELS, classes, np.uint8(0)),
        np.where(classes == SUSPECT, IGNORED, FULL).astype(np.uint8),  # whatever organ a doubtful voxel is, it is no tumour
        config.spacing_mm,
    )


def _middle(view: View, config: DistilConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Middle of a patch in mm: near a voxel of a host, or of the body."""
    half_mm = np.array(config.train_patch_zyx) * np.array(config.spacing_mm) / 2
    thin = np.asarray(view.labels.classes[0][::2, ::3, ::3])
    places = np.zeros(0, np.int64)
    if rng.random() < ABOUT_A_HOST:
        weights = np.array([host.weight for host in HOSTS])
        host = HOSTS[int(rng.choice(len(HOSTS), p=weights / weights.sum()))]
        places = np.flatnonzero(np.isin(thin, host.labels))
    if not places.size:
        places = np.flatnonzero(np.asarray(view.image_hu[::2, ::3, ::3]) > BODY_HU)
    index = np.array(np.unravel_index(int(rng.choice(places)), thin.shape)) * (2, 3, 3)
    at_mm = index * np.array(view.spacing_mm) + rng.uniform(-0.5, 0.5, 3) * half_mm
    size_mm = np.array(view.image_hu.shape) * np.array(view.spacing_mm)
    low, high = np.minimum(half_mm, size_mm / 2), np.maximum(size_mm - half_mm, size_mm / 2)
    result: NDArray[np.float64] = np.clip(at_mm, low - 0.1 * half_mm, high + 0.1 * half_mm)
    return result
