"""What a step of the training shows: crops of drawn tiles, with the organs that were found on the whole tile at their place."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_trt.engine.base.read_ahead import read_ahead
from flare_trt.training.tumours.examples import Example, Steps
from flare_trt.training.tumours.levels import Place
from flare_trt.training.tumours.loss import LEAST_VOXELS
from flare_trt.training.tumours.measures import BODY, Levels, levels_of, shares_of
from flare_trt.training.tumours.network import TumourUNet

#: Steps whose crops are cut ahead.
AHEAD = 2
#: Voxels of a crop, and crops of a tile.
CROP_ZYX, CROPS = (48, 96, 96), 6
#: Shares of the crops about a lesion, where the tile shows one, and about an organ; the others lie anywhere in the body.
ABOUT_A_LESION, ABOUT_AN_ORGAN = 0.5, 0.3
#: How often each organ is chosen (FLARE labels): those that are learnt last to be none are gallbladder, stomach and duodenum, which
#: hold fluid as cysts and necrotic lesions do. Without them every gallbladder became a tumour.
ORGANS = {1: 5, 2: 2, 13: 2, 9: 2, 3: 1, 4: 1, 7: 1, 11: 1, 12: 1}


@dataclass(frozen=True)
class Crops:
    """Parts of tiles, as many as `image` is long: the image, the organs' shares at half the resolution and the brightness of the
    tiles' organs; the share of tumour that the branch should find, and where it is known."""

    image: Tensor
    organs: Tensor
    levels: Levels
    share: Tensor
    known: Tensor

    def some(self, start: int, step: int) -> Crops:
        """Each `step`-th crop."""
        levels = Levels(self.levels.mean[start::step], self.levels.share[start::step])
        image, organs, share, known = (value[start::step] for value in (self.image, self.organs, self.share, self.known))
        return Crops(image, organs, levels, share, known)


def crops_of_steps(network: TumourUNet, steps: Steps, first: int, seed: int) -> Generator[Crops, None, None]:
    """The crops of `steps`, whose first is number `first`, to their end, cut ahead on a thread."""
    numbered = enumerate(steps, first)
    return read_ahead((cut_crops(network, each, np.random.default_rng([seed, 3, step])) for step, each in numbered), AHEAD)


def cut_crops(network: TumourUNet, examples: list[Example], rng: np.random.Generator) -> Crops:
    """Crops of each example, some of them mirrored. Organs and their brightness were found on the whole tile, as in use."""
    found, levels = list[tuple[Tensor, ...]](), list[Levels]()
    device = next(network.parameters()).device
    for example in examples:
        image = example.image.to(device)
        with torch.no_grad():
            organs = shares_of(network.organs(image)) if example.organs is None else example.organs[None].to(device)
            levels += [levels_of(image, organs)] * CROPS
        share, known = (value.float().to(device) for value in (example.share, example.known))
        for place in crop_places(example, rng):
            z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
            axes = [axis - 3 for axis in range(3) if rng.random() < 0.5]
            parts = image[0, :, *place], organs[0, :, z, y, x], share[place][None], known[place][None]
            found.append(tuple(part.flip(axes) for part in parts))
    images, of_organs, shares, certain = (torch.stack(values) for values in zip(*found, strict=True))
    together = Levels(torch.cat([level.mean for level in levels]), torch.cat([level.share for level in levels]))
    return Crops(images, of_organs, together, shares, certain)


def crop_places(example: Example, rng: np.random.Generator) -> list[Place]:
    """Where the crops of a tile lie. Corners are even."""
    image, classes = example.image[0, 0].numpy(), example.classes.numpy()
    lesions = _lesions(example)
    places = []
    for _ in range(CROPS):
        voxels, kind = np.zeros(0, np.int64), rng.random()
        if lesions and kind < ABOUT_A_LESION:
            voxels = lesions[int(rng.integers(len(lesions)))]
        elif kind < ABOUT_A_LESION + ABOUT_AN_ORGAN:
            weights = np.array(list(ORGANS.values()))
            voxels = np.flatnonzero(classes == rng.choice(list(ORGANS), p=weights / weights.sum()))
        if not voxels.size:
            voxels = np.flatnonzero(image > BODY)
        places.append(_crop_place(voxels, image.shape, rng))
    return places


def _lesions(example: Example) -> list[NDArray[np.int64]]:
    """The known voxels of each lesion of a tile that has enough of them: a small one is chosen as often as a large one."""
    numbers = np.where(example.known.numpy(), example.lesions.numpy(), 0).ravel()
    found = (np.flatnonzero(numbers == number) for number in range(1, int(numbers.max()) + 1))
    return [voxels for voxels in found if len(voxels) >= LEAST_VOXELS]


def _crop_place(voxels: NDArray[np.int64], shape: tuple[int, ...], rng: np.random.Generator) -> Place:
    """A crop about one of some voxels, or anywhere where there are none."""
    middle = np.unravel_index(int(rng.choice(voxels)) if voxels.size else int(rng.integers(math.prod(shape))), shape)
    sizes = [min(size, whole) for size, whole in zip(CROP_ZYX, shape, strict=True)]
    starts = [
        int(np.clip(at - size * rng.uniform(0.25, 0.75), 0, whole - size)) // 2 * 2
        for at, size, whole in zip(middle, sizes, shape, strict=True)
    ]
    z, y, x = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return z, y, x
