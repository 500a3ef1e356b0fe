"""A loss for partially labelled cases: where a case does not vouch for a class, background may be that class as well."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Logit of a class that a case says nothing of: its share is 0, also in half precision.
CLOSED = -1e4


class PartialLabelLoss(nn.Module):
    """Wraps nnU-Net's loss. Set `known` (batch, classes; bool) before each call; None means that all classes are known.

    The classes that a case does not vouch for are merged with its background: background's logit becomes the log-sum-exp of
    theirs and its own, so the loss asks "background or one of those" and leaves the choice to the network.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.known: Tensor | None = None

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> Tensor:
        """`output` is (batch, classes, z, y, x) logits, or a list of them under deep supervision."""
        known = self.known
        if known is not None:
            output = _merged(output, known) if isinstance(output, Tensor) else [_merged(part, known) for part in output]
        result: Tensor = self.loss(output, target)
        return result


def known_classes(vouched: Sequence[Sequence[int]], classes: int) -> Tensor:
    """bool (batch, classes): which classes each case vouches for; background always."""
    known = torch.zeros(len(vouched), classes, dtype=torch.bool)
    known[:, 0] = True
    for row, labels in enumerate(vouched):
        known[row, [label for label in labels if label < classes]] = True
    return known


def _merged(logits: Tensor, known: Tensor) -> Tensor:
    known = known.to(logits.device)
    if bool(known.all()):
        return logits
    logits = logits.float()
    closed = ~known.view(*known.shape, *[1] * (logits.ndim - 2))
    background = closed.clone()
    background[:, 0] = True
    merged = torch.logsumexp(logits.masked_fill(~background, float("-inf")), 1, keepdim=True)
    return torch.cat((merged, logits.masked_fill(closed, CLOSED)[:, 1:]), 1)
