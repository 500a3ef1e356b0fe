"""What a step of the training shows: crops of drawn tiles, with the organs' features of the whole tile at their place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_trt.training.tumours.examples import Example, Steps
from flare_trt.training.tumours.levels import Place
from flare_trt.training.tumours.loss import LEAST_VOXELS
from flare_trt.training.tumours.network import TumourUNet, contrast_to_organs
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
LIVER, LIVER_WEIGHT = 1, 3.0
#: Above this normalised value the body begins.
BODY = -2.5


@dataclass(frozen=True)
class Crops:
    """Parts of tiles, as many as `image` is long: what the branch sees of each and what it should say."""

    image: Tensor
    half: Tensor
    first: Tensor
    share: Tensor
    known: Tensor

    def some(self, start: int, step: int) -> Crops:
        """Each `step`-th crop."""
        return Crops(*(value[start::step] for value in (self.image, self.half, self.first, self.share, self.known)))


def crops_of_steps(network: TumourUNet, steps: Steps, first: int, seed: int) -> Iterator[Crops]:
    """The crops of `steps`, whose first is number `first`, to their end, cut ahead on a thread."""

    def of_step(step: int) -> Crops | None:
        examples = next(steps, None)
        return None if examples is None else cut_crops(network, examples, np.random.default_rng([seed, 3, step]))

    with ThreadPoolExecutor(1) as cutter:
        waiting = [cutter.submit(of_step, first + ahead) for ahead in range(AHEAD)]
        while (crops := waiting.pop(0).result()) is not None:
            yield crops
            first += 1
            waiting.append(cutter.submit(of_step, first + AHEAD - 1))


def cut_crops(network: TumourUNet, examples: list[Example], rng: np.random.Generator) -> Crops:
    """Crops of each example, some of them mirrored. The organs' features are those of the whole tile, once for all its crops: so
    each crop knows where in the body it lies."""
    found = list[tuple[Tensor, ...]]()
    device = network.not_hosts.device
    for example in examples:
        image, sought, known = (value.to(device) for value in (example.image, example.share, example.known.float()))
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            half, first = network.organs.half_features(image)
            contrast = contrast_to_organs(image, network.organs.finish(half, first).float())
            half = torch.cat((half, contrast.to(half.dtype)), 1)
        for place in crop_places(example, rng):
            z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
            axes = [axis - 3 for axis in range(3) if rng.random() < 0.5]
            whole = (slice(None), slice(None), *place)
            parts = (image[whole], half[:, :, z, y, x], first[whole], sought[place], known[place])
            found.append(tuple(part.flip(axes) for part in parts))
    images, inner, outer, shares, knowns = (list(values) for values in zip(*found, strict=True))
    return Crops(torch.cat(images), torch.cat(inner), torch.cat(outer), torch.stack(shares), torch.stack(knowns))


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
