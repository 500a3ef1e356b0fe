"""Voxels of drawn tiles that the classifier is fitted to: of each lesion, of each organ, of what is beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_trt.training.distil.soft_labels import halved
from flare_trt.training.tumours.examples import Example
from flare_trt.training.tumours.measures import BODY, GROUNDS, LIVER
from flare_trt.training.tumours.network import TumourUNet
from flare_trt.training.tumours.recipe import TUMOUR

#: Voxels of a tile: of each lesion, at the lesions' borders, of the liver, of each other organ that may hold a tumour, of each that
#: may not, and of the rest of the body.
OF_A_LESION, AT_BORDERS, OF_LIVER, OF_A_GROUND, OF_ANOTHER, OF_THE_REST = 250, 400, 250, 130, 120, 900
#: Vessels, gallbladder and oesophagus (FLARE labels).
OTHERS = tuple(label for label in range(1, TUMOUR) if label not in GROUNDS)
#: A voxel of half the resolution is known where so much of it is.
KNOWN = 0.9


@dataclass(frozen=True)
class Samples:
    """What the classifier reads of each voxel, float16 (voxels, features), the share of tumour, and the tile's number."""

    features: Tensor
    share: Tensor
    tile: Tensor


def half_target(example: Example) -> tuple[Tensor, Tensor]:
    """The share of tumour (z / 2, y / 2, x / 2) and where it is known, at half the resolution."""
    share, known = torch.from_numpy(halved(torch.stack((example.share.float(), example.known.float())).numpy()))
    return share, known > KNOWN


def gather(network: TumourUNet, examples: Iterable[Example], rng: np.random.Generator) -> Samples:
    """Voxels of each example."""
    features, shares, tiles = list[Tensor](), list[Tensor](), list[Tensor]()
    device = network.not_hosts.device
    for number, example in enumerate(examples):
        share, known = half_target(example)
        chosen = _chosen(example, share.numpy(), known.numpy(), rng)
        z, y, x = (torch.from_numpy(axis) for axis in np.unravel_index(chosen, share.shape))
        with torch.no_grad():
            _, levels = network.read(example.image.to(device))
        parts = [level[0, :, z >> coarser, y >> coarser, x >> coarser].cpu().half() for coarser, level in enumerate(levels)]
        features.append(torch.cat(parts).T)
        shares.append(share[z, y, x])
        tiles.append(torch.full((len(z),), number))
    return Samples(torch.cat(features), torch.cat(shares), torch.cat(tiles))


def _chosen(example: Example, share: NDArray[np.float32], known: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the voxels of a tile."""
    body = known & (example.image[0, 0, ::2, ::2, ::2].numpy() > BODY)
    classes, lesions = (value[::2, ::2, ::2].numpy() for value in (example.classes, example.lesions))
    sound = share <= 0.5
    wanted = [(lesions == number, OF_A_LESION) for number in np.unique(lesions)[1:]]
    wanted.append(((share > 0) & sound, AT_BORDERS))
    wanted += [((classes == label) & sound, OF_LIVER if label == LIVER else OF_A_GROUND) for label in GROUNDS]
    wanted += [(classes == label, OF_ANOTHER) for label in OTHERS]
    wanted.append(((classes == 0) & sound, OF_THE_REST))
    found = [np.zeros(0, np.int64)]
    for where, count in wanted:
        places = np.flatnonzero(where & body)
        found.append(rng.choice(places, min(count, places.size), replace=False) if places.size else places)
    result: NDArray[np.int64] = np.unique(np.concatenate(found))
    return result
