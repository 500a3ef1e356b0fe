"""The loss of the networks in miniature: small classes count from the first step on."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class MiniatureLoss(nn.Module):
    """Cross entropy in which each class weighs as the root of its voxels, minus the Dice of the classes that the batch shows.

    nnU-Net's own Dice also holds the classes that a batch does not show to zero. In the few hundred steps of the
    reproduction this silences the small organs before they are found.
    """

    def __init__(self, ignore_label: int) -> None:
        super().__init__()
        self.ignore_label = ignore_label

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Scalar; `output` is (batch, classes, z, y, x) logits, `target` (batch, 1, z, y, x) labels."""
        labels = target[:, 0].long()
        known = labels != self.ignore_label
        if not bool(known.any()):
            return output.sum() * 0
        labels = labels.masked_fill(~known, 0)
        log_shares = functional.log_softmax(output, 1)
        shown = functional.one_hot(labels, output.shape[1]).movedim(-1, 1) * known[:, None]
        voxels = shown.sum((0, 2, 3, 4)).float()
        weight = voxels.clamp(min=1).rsqrt()[labels] * known
        entropy = -(log_shares.gather(1, labels[:, None])[:, 0] * weight).sum() / weight.sum()
        return entropy - _dice_of_shown(log_shares.exp() * known[:, None], shown, voxels)


def _dice_of_shown(shares: Tensor, shown: Tensor, voxels: Tensor) -> Tensor:
    """Mean soft Dice over the batch of the classes 1.. that occur; 0 where none does."""
    present = voxels > 0
    present[0] = False
    if not bool(present.any()):
        return shares.sum() * 0
    common, claimed = (part.sum((0, 2, 3, 4))[present] for part in (shares * shown, shares))
    return (2 * common / (claimed + voxels[present])).mean()
