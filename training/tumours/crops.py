"""What a step of the training shows: crops of drawn tiles, with the organs' features of the whole tile at their place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_trt.engine.base.pieces import label_pieces, piece_cuts
from flare_trt.training.distil.config import DistilConfig
from flare_trt.training.distil.patches import finished
from flare_trt.training.tumours.levels import Place
from flare_trt.training.tumours.loss import LEAST_VOXELS
from flare_trt.training.tumours.network import TumourUNet, contrast_to_organs
from flare_trt.training.tumours.partial import organ_beside
from flare_trt.training.tumours.pool import pool_files, read_patch
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL

#: Steps whose crops are cut ahead, and tiles of a step: a step that shows two scans follows no single one.
AHEAD, TILES = 2, 2
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
class Example:
    """A normalised image (1, 1, z, y, x), and of each voxel the share of tumour, whether that is known, and the class (z, y, x)."""

    image: Tensor
    share: Tensor
    known: Tensor
    classes: Tensor


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


def crops_of_steps(config: DistilConfig, pool: Path, first: int, network: TumourUNet) -> Iterator[Crops]:
    """The crops of step `first` and on, cut ahead on a thread: tiles are random patches of the pool with random intensity."""

    def of_step(step: int) -> Crops:
        examples = [draw_example(config, pool, step * TILES + tile) for tile in range(TILES)]
        return cut_crops(network, examples, np.random.default_rng([config.seed, 3, step]))

    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(of_step, first + ahead) for ahead in range(AHEAD)]
        while True:
            first += 1
            waiting.append(reader.submit(of_step, first + AHEAD - 1))
            yield waiting.pop(0).result()


def cut_crops(network: TumourUNet, examples: list[Example], rng: np.random.Generator) -> Crops:
    """Crops of each example, some of them mirrored. The organs' features are those of the whole tile, once for all its crops: so
    each crop knows where in the body it lies."""
    found = list[tuple[Tensor, ...]]()
    for example in examples:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            half, first = network.organs.half_features(example.image)
            contrast = contrast_to_organs(example.image, network.organs.finish(half, first).float())
            half = torch.cat((half, contrast.to(half.dtype)), 1)
        for place in crop_places(example, rng):
            z, y, x = (slice(part.start // 2, part.stop // 2) for part in place)
            axes = [axis - 3 for axis in range(3) if rng.random() < 0.5]
            whole = (slice(None), slice(None), *place)
            parts = (example.image[whole], half[:, :, z, y, x], first[whole], example.share[place], example.known[place])
            found.append(tuple(part.flip(axes) for part in parts))
    image, inner, outer, share, known = (list(values) for values in zip(*found, strict=True))
    return Crops(torch.cat(image), torch.cat(inner), torch.cat(outer), torch.stack(share), torch.stack(known))


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
    pieces, _ = label_pieces(example.share.numpy() > 0.5, faces_alone=True)
    found = list[tuple[NDArray[np.int64], float]]()
    for number, box in enumerate(piece_cuts(pieces), start=1):
        inside = pieces[box] == number
        if np.count_nonzero(inside) < LEAST_VOXELS:
            continue
        around = tuple(slice(max(0, part.start - 2), part.stop + 2) for part in box)
        organ, _ = organ_beside(example.classes[around].numpy().astype(np.uint8))
        voxels = np.argwhere(inside) + [part.start for part in box]
        flat = np.ravel_multi_index(tuple(voxels.T), pieces.shape).astype(np.int64)
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


def draw_example(config: DistilConfig, pool: Path, number: int) -> Example:
    """Example `number`: which patch and how it is varied hang on the number alone."""
    rng = np.random.default_rng([config.seed, number])
    files = pool_files(pool)
    stored = read_patch(files[int(rng.integers(len(files)))])
    tumour = np.where(stored.labels.classes == TUMOUR, stored.labels.shares, 0).sum(0, dtype=np.int64)
    # doubt, not trust, travels through what is cut and blanked: beyond the scan all is surely no tumour
    doubt = FULL - stored.trust.astype(np.int64)
    packed = np.stack([np.zeros_like(tumour), tumour, doubt, stored.labels.classes[0]]).astype(np.float32)
    patch = finished(torch.from_numpy(stored.hu.astype(np.float32)), torch.from_numpy(packed), config, rng)
    _, share, unsure, classes = patch.target
    return Example(patch.image[None, None], share / 255, (unsure < 0.5).float(), classes)
