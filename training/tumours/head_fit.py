"""A first head by a fit: which combination of the teacher's features says which organ, from some voxels of whole tiles.

Only pointwise layers follow the frozen features, so each voxel is an example of its own. A minute of it stands for hours of steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flare_trt.training.tumours.loss import Target
from flare_trt.training.tumours.network import SLOPE, HalfUNet
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import FULL

#: Voxels of one class that a tile gives, of those whose label is sure and of those that are contested, and of background.
MOST_VOXELS, MOST_BACKGROUND = 2500, 8000
#: A label is sure above this share.
SURE = 0.8
#: A voxel counts for as many as it stands for, to this power: at 0.5 small organs grow too large, at 1 the smallest are lost.
RARITY = 0.9
#: Passes over the voxels, voxels a step, learning rate.
PASSES, BATCH, RATE = 16, 16384, 1e-2
#: Hidden features that are left to tumours, and the tumour's first logit: a bias (unlikely, but not so that nothing is learnt) and
#: what each of these features counts (much: at 0.1 the logit had hardly moved after 200 steps).
FOR_TUMOURS, FIRST_BIAS, FIRST_WEIGHT = 4, -1.0, 3.0


@dataclass(frozen=True)
class Voxels:
    """n voxels: float32 `inner` and `first` (n, features), `shares` (n, organs) and `weight` (n), int64 `corner` (n), 0 to 7."""

    inner: Tensor
    first: Tensor
    shares: Tensor
    weight: Tensor
    corner: Tensor

    def some(self, rows: Tensor) -> Voxels:
        """These voxels of them."""
        return Voxels(*(getattr(self, name)[rows] for name in ("inner", "first", "shares", "weight", "corner")))


def fit_head(network: HalfUNet, tiles: Iterable[tuple[Tensor, Target]], seed: int) -> None:
    """Set the head: organs from the teacher's features alone, tumours unlikely. `tiles` are images (1, 1, z, y, x) and targets."""
    rng = np.random.default_rng([seed, 11])
    parts = [_voxels(network, image, target, rng) for image, target in tiles]
    every = Voxels(
        *(torch.cat(columns) for columns in zip(*((p.inner, p.first, p.shares, p.weight, p.corner) for p in parts), strict=True))
    )
    head = _PointHead(every.inner.shape[1], every.first.shape[1], network.config.hidden - FOR_TUMOURS, every.shares.shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=1e-5)
    count = len(every.weight)
    batches = max(1, count // BATCH)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PASSES * batches, RATE / 100)
    for _ in range(PASSES):
        order = torch.from_numpy(rng.permutation(count))
        for rows in order.chunk(batches):
            loss = head.loss(every.some(rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
    head.copy_to(network)


class _PointHead(nn.Module):
    """`HalfHead` without the branch and without tumours, voxel by voxel."""

    def __init__(self, inner: int, first: int, hidden: int, organs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(inner, hidden, 2, 2)
        self.edge = nn.Linear(first, hidden, bias=False)
        self.out = nn.Linear(hidden, organs)

    def loss(self, voxels: Voxels) -> Tensor:
        """Weighted cross entropy with the soft labels."""
        corners = self.up.weight.flatten(2)  # inner, hidden, corner
        hidden = self.edge(voxels.first) + self.up.bias
        for corner in range(8):
            rows = (voxels.corner == corner).nonzero()[:, 0]
            hidden = hidden.index_add(0, rows, voxels.inner[rows] @ corners[:, :, corner])
        likely = self.out(nn.functional.leaky_relu(hidden, SLOPE)).log_softmax(1)
        entropy = -(voxels.shares * likely).sum(1)
        return (entropy * voxels.weight).sum() / voxels.weight.sum()

    @torch.no_grad()
    def copy_to(self, network: HalfUNet) -> None:
        """Fill the organs' part of the head; the branch and the features for tumours begin without a say in the organs."""
        inner, hidden, organs = self.up.in_channels, self.up.out_channels, self.out.out_features
        head = network.head
        head.up.weight[:, :hidden] = 0
        head.up.weight[:inner, :hidden] = self.up.weight
        head.up.bias[:hidden] = self.up.bias
        head.edge.weight[:hidden, :, 0, 0, 0] = self.edge.weight
        head.out.weight[:organs, hidden:] = 0
        head.out.weight[:organs, :hidden, 0, 0, 0] = self.out.weight
        head.out.bias[:organs] = self.out.bias
        head.out.weight[TUMOUR, :hidden] = 0
        head.out.weight[TUMOUR, hidden:] = FIRST_WEIGHT
        head.out.bias[TUMOUR] = FIRST_BIAS


@torch.no_grad()
def _voxels(network: HalfUNet, image: Tensor, target: Target, rng: np.random.Generator) -> Voxels:
    """Some voxels of each organ, sure and contested ones, with how many of the tile each stands for."""
    inner, first = (features[0].float().flatten(1) for features in network.organ_features(image))
    best, sure = target.classes[0].numpy(), target.shares[0].numpy() > SURE
    usable = (target.trust.numpy() == FULL) & ~(target.classes == TUMOUR).any(0).numpy()
    places, weights = list[NDArray[np.int64]](), list[NDArray[np.float32]]()
    for organ in range(TUMOUR):
        for which in (sure, ~sure):
            found = np.flatnonzero((best == organ) & which & usable)
            taken = min(len(found), MOST_VOXELS if organ else MOST_BACKGROUND)
            if taken:
                places.append(rng.choice(found, taken, replace=False))
                weights.append(np.full(taken, (len(found) / taken) ** RARITY, np.float32))
    rows = np.concatenate(places) if places else np.zeros(0, np.int64)  # nothing of the tile may be trusted
    weight = np.concatenate(weights) if places else np.zeros(0, np.float32)
    z, y, x = np.unravel_index(rows, image.shape[2:])
    half = np.ravel_multi_index((z // 2, y // 2, x // 2), tuple(size // 2 for size in image.shape[2:]))
    corner = torch.from_numpy(4 * (z % 2) + 2 * (y % 2) + x % 2)
    at = torch.from_numpy(rows)
    shares = torch.zeros(len(rows), TUMOUR).scatter_add_(1, target.classes[:, at].T, target.shares[:, at].T)
    return Voxels(
        inner[:, torch.from_numpy(half)].T,
        first[:, at].T,
        shares / shares.sum(1, True),
        torch.from_numpy(weight),
        corner,
    )
