"""What the network is compared with: soft labels, the likeliest class and soft Dice, each voxel by the trust in its label."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from flare_trt.training.tumours.recipe import CHANNELS, TUMOUR
from flare_trt.training.tumours.scene import FULL, PARTIAL

#: Weight of a voxel of tumour and of an organ where background weighs 1. A tumour that weighs as much as its organ is not learnt.
TUMOUR_WEIGHT, ORGAN_WEIGHT = 8.0, 2.5
#: What the likeliest class counts beside the soft labels.
HARD_WEIGHT = 0.5
#: A class with fewer voxels in the patch has no Dice.
LEAST_VOXELS = 20


@dataclass(frozen=True)
class Target:
    """The largest shares of n voxels: int64 `classes` and float32 `shares` (kept, n), largest first, and `trust` (n)."""

    classes: Tensor
    shares: Tensor
    trust: Tensor


def tumour_loss(logits: Tensor, target: Target) -> Tensor:
    """Scalar. `logits` are float32 (15, n).

    Where a label is PARTIAL, tumour counts as the label's own class: an undrawn tumour found there is no error. IGNORED voxels
    count nowhere.
    """
    log_shares = functional.log_softmax(logits, 0)
    best = target.classes[0]
    known, partial = (target.trust == FULL).float(), (target.trust == PARTIAL).nonzero()[:, 0]
    table = torch.full((CHANNELS,), ORGAN_WEIGHT)
    table[0], table[TUMOUR] = 1.0, TUMOUR_WEIGHT
    weight = table[best]
    found = log_shares.gather(0, target.classes)
    entropy = -((target.shares * found).sum(0) + HARD_WEIGHT * found[0])
    sums, total = (entropy * weight * known).sum(), (weight * known).sum()
    if partial.numel():
        either = torch.logaddexp(found[0, partial], log_shares[TUMOUR, partial])
        sums = sums - (1 + HARD_WEIGHT) * (either * weight[partial]).sum()
        total = total + weight[partial].sum()
    return sums / total.clamp(min=1) + _dice_loss(log_shares, found, target, known)


def _dice_loss(log_shares: Tensor, found: Tensor, target: Target, known: Tensor) -> Tensor:
    """1 - soft Dice (squares in the denominator) of the classes 1.. that the target shows; 0 where it shows none.

    The tumour counts as much as all organs together.
    """
    flat, aim = target.classes.flatten(), (target.shares * known).flatten()
    volume = torch.zeros(CHANNELS).index_add_(0, flat, aim)
    present = (volume > LEAST_VOXELS).nonzero()[:, 0]
    present = present[present > 0]
    if not present.numel():
        return log_shares.sum() * 0
    overlap = torch.zeros(CHANNELS).index_add(0, flat, aim * found.exp().flatten())
    squares = torch.zeros(CHANNELS).index_add_(0, flat, aim * target.shares.flatten())
    own = ((2 * log_shares[present]).exp() * known).sum(1)
    dice = 2 * overlap[present] / (own + squares[present]).clamp(min=1e-6)
    parts = [dice[kind].mean() for kind in (present == TUMOUR, present != TUMOUR) if kind.any()]
    return 1 - torch.stack(parts).mean()
