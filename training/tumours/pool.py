"""A pool of examples on disk, with the organs that were found in each: one process fills it again and again, the training reads at
random. To find the organs takes as long as three updates, so an example is used several times, as it was drawn."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flare_trt.engine.base.errors import InputError, reason_of
from flare_trt.kernels import Intensity
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.views import normalise
from flare_trt.training.tumours.draw import NamedView
from flare_trt.training.tumours.examples import TILES, Example, Steps, example_of
from flare_trt.training.tumours.organs import FindsOrgans
from flare_trt.training.tumours.patch import drawn_patch


@dataclass(frozen=True)
class StoredExample:
    """An example (z, y, x): HU; as bytes the share of tumour (255: all), the classes and the lesions' numbers; whether a label is
    known; and the shares of the organs (organs, z / 2, y / 2, x / 2) as bytes."""

    hu: NDArray[np.int16]
    tumour: NDArray[np.uint8]
    known: NDArray[np.bool_]
    classes: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    organs: NDArray[np.uint8]

    def example(self, intensity: Intensity) -> Example:
        """As the training takes it, normalised."""
        image = normalise(self.hu.astype(np.float32), intensity)
        tumour, organs = (torch.from_numpy(part.astype(np.float32) / np.float32(255)) for part in (self.tumour, self.organs))
        known, classes, lesions = map(torch.from_numpy, (self.known, self.classes, self.lesions))
        return Example(torch.from_numpy(image)[None, None], tumour, known, classes, lesions, organs)


def stored(example: Example, organs: FindsOrgans, intensity: Intensity) -> StoredExample:
    """An example and the organs found in it."""
    hu = np.rint(example.image[0, 0].numpy() * intensity.std_hu + intensity.mean_hu).astype(np.int16)
    tumour, found = (np.rint(part.numpy() * 255).astype(np.uint8) for part in (example.share, organs(example.image)))
    return StoredExample(hu, tumour, example.known.numpy(), example.classes.numpy(), example.lesions.numpy(), found)


@dataclass(frozen=True)
class Pool:
    """A folder of examples."""

    folder: Path

    def fill(self, views: Sequence[NamedView], config: DistilConfig, organs: FindsOrgans, numbers: range, slots: int) -> None:
        """Draw examples into `slots` files; number n, drawn from the configuration's seed and n, replaces number n - slots."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            rng = np.random.default_rng([config.seed, number])
            example = example_of(drawn_patch(views, config, number), config, rng)
            kept = stored(example, organs, config.teacher.intensity)
            write_example(kept, self.folder / f"{number % slots:05d}.npz")

    def files(self) -> list[Path]:
        """The examples, in order of their names."""
        return sorted(self.folder.glob("*.npz"))


@dataclass(frozen=True)
class FromPool:
    """Random examples of a pool, which may grow meanwhile. Raises InputError where it is empty."""

    config: DistilConfig
    pool: Pool

    def __call__(self, first: int) -> Steps:
        """The examples of step `first` and on."""
        if not self.pool.files():
            raise InputError(f"{self.pool.folder}: got no examples; fill the pool first with 'flare-trt train tumours pool'")
        while True:
            yield [self.example(first * TILES + tile) for tile in range(TILES)]
            first += 1

    def example(self, number: int) -> Example:
        """Example `number`: which one of the pool it is hangs on the number alone."""
        rng = np.random.default_rng([self.config.seed, number])
        files = self.pool.files()
        return read_example(files[int(rng.integers(len(files)))]).example(self.config.teacher.intensity)


def write_example(example: StoredExample, path: Path) -> None:
    """Write an example under a temporary name until it is whole."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **{**vars(example), "known": np.packbits(example.known)})
    partial.rename(path)


def read_example(path: Path) -> StoredExample:
    """Read what `write_example` wrote. Raises InputError for something else."""
    try:
        with np.load(path) as found:
            names = ("hu", "tumour", "classes", "lesions", "organs")
            hu, tumour, classes, lesions, organs = (found[name] for name in names)
            known = np.unpackbits(found["known"], count=hu.size).reshape(hu.shape).astype(bool)
            return StoredExample(hu, tumour, known, classes, lesions, organs)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: got {reason_of(error)}, expected an example of 'flare-trt train tumours pool'; fill the pool anew"
        ) from error
