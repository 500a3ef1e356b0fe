"""What a student learns from: the teacher's probabilities (KL), its arg-max (cross entropy) and the overlap of both (soft Dice)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def distillation_loss(logits: Tensor, target: Tensor, dice_weight: float, hard_weight: float) -> Tensor:
    """Scalar. `logits` and `target` are (c, z, y, x); target sums to 1 over c.

    The soft part is the Kullback-Leibler divergence per voxel, of which voxels of an organ weigh as much in sum as those of
    the background: most of a patch is background that both networks are sure of.
    """
    log_shares = functional.log_softmax(logits, 0)
    organ = 1 - target[0]
    weight = organ / organ.sum().clamp(min=1) + target[0] / target[0].sum().clamp(min=1)
    weight = weight / weight.sum()
    kl = (functional.kl_div(log_shares, target, reduction="none").sum(0) * weight).sum()
    hard = (functional.nll_loss(log_shares[None], target.argmax(0)[None], reduction="none")[0] * weight).sum()
    return kl + hard_weight * hard + dice_weight * soft_dice_loss(log_shares.exp(), target)


def soft_dice_loss(shares: Tensor, target: Tensor) -> Tensor:
    """1 - mean soft Dice of the classes 1.. that the target shows; 0 where it shows none."""
    flat, aim = shares[1:].flatten(1), target[1:].flatten(1)
    present = aim.sum(1) > 20
    if not bool(present.any()):
        return torch.zeros(())
    overlap = 2 * (flat * aim).sum(1) / ((flat * flat).sum(1) + (aim * aim).sum(1)).clamp(min=1e-6)
    return 1 - overlap[present].mean()
