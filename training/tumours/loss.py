"""What the branch is compared with: the share of tumour in each voxel, by the trust in its label."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Weight of a voxel of tumour where another weighs 1. At 1 nothing was learnt in a thousand steps.
TUMOUR_WEIGHT = 6.0
#: A batch with fewer voxels of tumour has no Dice.
LEAST_VOXELS = 20


def tumour_loss(logit: Tensor, share: Tensor, known: Tensor) -> Tensor:
    """Weighted cross entropy and 1 - soft Dice, a scalar.

    `logit` and `share` of tumour are float32 (n), `known` is 1 where a label is trusted. Where it may hide a tumour that nobody
    drew, it is 0: neither answer is an error there.
    """
    weight = known * (1 + (TUMOUR_WEIGHT - 1) * share)
    entropy = functional.binary_cross_entropy_with_logits(logit, share, reduction="none")
    loss = (entropy * weight).sum() / weight.sum().clamp(min=1)
    aim = share * known
    if float(aim.sum()) <= LEAST_VOXELS:
        return loss
    found = torch.sigmoid(logit) * known
    return loss + 1 - (2 * (found * aim).sum() + 1) / (found.sum() + aim.sum() + 1)
