"""What the network is compared with: the organs' soft labels (KL), the likeliest class and soft Dice, by trust in each voxel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flare_trt.training.distil.loss import soft_dice_loss
from flare_trt.training.tumours.recipe import TUMOUR
from flare_trt.training.tumours.scene import IGNORED, PARTIAL

#: Weight of a voxel of tumour and of an organ where background weighs 1. With 1 for tumour nothing is learnt in 1,000 steps.
TUMOUR_WEIGHT, ORGAN_WEIGHT = 5.0, 2.5
HARD_WEIGHT = 0.5


def tumour_loss(logits: Tensor, target: Tensor, trust: Tensor) -> Tensor:
    """Scalar. `logits` and `target` are (15, z, y, x), `trust` is (z, y, x).

    Where a label is PARTIAL, tumour counts as the label's own class: an undrawn tumour found there is no error. IGNORED voxels
    count nowhere.
    """
    shares = functional.softmax(logits, 0)
    best = target.argmax(0)
    partial = trust == PARTIAL
    spill = torch.where(partial, shares[TUMOUR], 0)
    shares = torch.cat((shares[:TUMOUR], (shares[TUMOUR] - spill)[None]))
    shares = shares.scatter_add(0, best[None], spill[None])
    log_shares = shares.clamp(min=1e-6).log()
    known = (trust != IGNORED).float()
    weight = known * (1 + (ORGAN_WEIGHT - 1) * (1 - target[0]) + (TUMOUR_WEIGHT - ORGAN_WEIGHT) * target[TUMOUR])
    weight = weight / weight.sum().clamp(min=1)
    kl = (functional.kl_div(log_shares, target, reduction="none").sum(0) * weight).sum()
    hard = (functional.nll_loss(log_shares[None], best[None], reduction="none")[0] * weight).sum()
    return kl + HARD_WEIGHT * hard + soft_dice_loss(shares * known, target * known)
