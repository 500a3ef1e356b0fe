"""A pool of drawn patches on disk: one process fills it again and again, the training reads at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.views import open_view
from flare_trt.training.tumours.draw import NamedView, draw_scene
from flare_trt.training.tumours.partial import lesions_not_asked_for
from flare_trt.training.tumours.scene import PARTIAL, Scene


def named_views(cache: Path) -> list[NamedView]:
    """All views of a cache of `agreed_views`; a view's folder is named after its CT and a number."""
    return [
        NamedView(file.parent.name.rpartition("-")[0], open_view(file.parent)) for file in sorted(cache.glob("*-???/view.json"))
    ]


def fill_pool(views: Sequence[NamedView], config: DistilConfig, folder: Path, numbers: range, slots: int) -> None:
    """Draw patches into `slots` files; patch n, drawn from the configuration's seed and n, replaces patch n - slots."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_patch(drawn_patch(views, config, number), folder / f"{number % slots:05d}.npz")


@dataclass(frozen=True)
class StoredPatch:
    """A patch (z, y, x): HU, and as bytes the labels, the share of tumour (255: all), the trust and the lesions' numbers."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    tumour: NDArray[np.uint8]
    trust: NDArray[np.uint8]
    lesions: NDArray[np.uint8]


def drawn_patch(views: Sequence[NamedView], config: DistilConfig, number: int) -> StoredPatch:
    """Patch `number`, which hangs on the configuration's seed and its number alone."""
    return patch_of(draw_scene(views, config, np.random.default_rng([config.seed, 7, number])))


def patch_of(scene: Scene) -> StoredPatch:
    """A scene as it is learnt from: lesions that are not asked for are trusted no more than what nobody drew."""
    hu, labels = np.clip(np.rint(scene.hu), -32000, 32000).astype(np.int16), scene.labels
    trust = np.where(lesions_not_asked_for(hu, labels, scene.lesions), np.uint8(PARTIAL), scene.trust)
    return StoredPatch(hu, labels, np.rint(scene.tumour * 255).astype(np.uint8), trust, scene.lesions)


def write_patch(patch: StoredPatch, path: Path) -> None:
    """Write a patch under a temporary name until it is whole."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **vars(patch))
    partial.rename(path)


def read_patch(path: Path) -> StoredPatch:
    """Read what `write_patch` wrote."""
    with np.load(path) as found:
        return StoredPatch(**{name: found[name] for name in ("hu", "labels", "tumour", "trust", "lesions")})


def pool_files(folder: Path) -> list[Path]:
    """The pool's patches, in order of their names."""
    return sorted(folder.glob("*.npz"))
