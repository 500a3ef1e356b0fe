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
from flare_trt.training.tumours.measures import BODY, LIVER, Levels, levels_of, shares_of
from flare_trt.training.tumours.network import TumourUNet
from flare_trt.training.tumours.partial import organ_beside
from flare_trt.training.tumours.scene import lesion_boxes

#: Steps whose crops are cut ahead.
AHEAD = 2
#: Voxels of a crop, crops of a tile, and how many of them lie about a lesion where it has some.
CROP_ZYX, CROPS, CROPS_ABOUT_LESIONS = (48, 96, 96), 8, 5
#: The last crops of a tile lie about two of these where it shows them: gallbladder, stomach, duodenum hold fluid, as cysts and
#: necrotic lesions do. Without them every gallbladder became a tumour.
LOOK_ALIKES, CROPS_ABOUT_LOOK_ALIKES = (9, 11, 12), 2
#: A crop about a lesion is that many times as likely to be about one of the liver: most lesions that are looked for lie there.
LIVER_WEIGHT = 3.0


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
    device = network.not_hosts.device
    for example in examples:
        image = example.image.to(device)
        with torch.no_grad():
            organs = shares_of(network.organs(image))
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
    """Where the crops of a tile lie: about lesions, anywhere in the body, about what looks like a lesion. Corners are even."""
    image = example.image[0, 0].numpy()
    body, lesions = np.flatnonzero(image > BODY), _lesions(example)
    weights = np.array([weight for _, weight in lesions])
    middles = list[NDArray[np.int64]]()
    for _ in range(CROPS_ABOUT_LESIONS):
        middles.append(lesions[int(rng.choice(len(lesions), p=weights / weights.sum()))][0] if lesions else body)
    middles += [body] * (CROPS - CROPS_ABOUT_LESIONS - CROPS_ABOUT_LOOK_ALIKES)
    for label in rng.choice(LOOK_ALIKES, CROPS_ABOUT_LOOK_ALIKES, replace=False):
        like = np.flatnonzero(example.classes.numpy() == label)
        middles.append(like if like.size else body)
    return [_crop_place(voxels, image.shape, rng) for voxels in middles]


def _lesions(example: Example) -> list[tuple[NDArray[np.int64], float]]:
    """The voxels of each lesion of a tile, and how likely a crop is about it: as likely for a small one as for a large one."""
    numbers = example.lesions.numpy()
    found = list[tuple[NDArray[np.int64], float]]()
    for number, around in lesion_boxes(numbers, 2):
        voxels = np.argwhere(numbers[around] == number) + [part.start for part in around]
        if len(voxels) < LEAST_VOXELS:
            continue
        organ, _ = organ_beside(example.classes[around].numpy())
        flat = np.ravel_multi_index(tuple(voxels.T), numbers.shape).astype(np.int64)
        found.append((flat, LIVER_WEIGHT if organ == LIVER else 1.0))
    return found


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
