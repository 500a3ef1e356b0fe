from __future__ import annotations

import pytest
import torch
from torch import nn

from flare_trt.training.fit.partial_loss import PartialLabelLoss, known_classes


class CrossEntropy(nn.Module):
    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target[:, 0])


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(2, 4, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_known_classes_always_include_background() -> None:
    assert known_classes([[2], [1, 3, 14]], 4).tolist() == [[True, False, True, False], [True, True, False, True]]


def test_where_all_is_known_it_is_the_plain_loss(logits: torch.Tensor) -> None:
    target = torch.randint(0, 4, (2, 1, 3, 4, 5), generator=torch.Generator().manual_seed(1))
    loss, plain = PartialLabelLoss(CrossEntropy()), CrossEntropy()(logits, target)
    assert loss(logits, target) == plain
    loss.known = known_classes([[1, 2, 3], [1, 2, 3]], 4)
    assert loss(logits, target) == plain


def test_background_of_a_partial_case_may_be_an_unknown_class(logits: torch.Tensor) -> None:
    loss, background = PartialLabelLoss(CrossEntropy()), torch.zeros(2, 1, 3, 4, 5, dtype=torch.long)
    loss.known = known_classes([[1], [1, 2, 3]], 4)
    shares = logits.softmax(1)
    expected = -(torch.cat((shares[0, [0, 2, 3]].sum(0).flatten(), shares[1, 0].flatten())).log()).mean()
    torch.testing.assert_close(loss(logits, background), expected)


def test_an_unknown_class_is_not_punished_and_a_known_one_is() -> None:
    loss, background = PartialLabelLoss(CrossEntropy()), torch.zeros(1, 1, 1, 1, 2, dtype=torch.long)
    loss.known = known_classes([[1]], 3)
    sure_of_unknown = torch.tensor([0.0, 0.0, 30.0]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 2)
    sure_of_known = sure_of_unknown.flip(1)[:, [2, 1, 0]].roll(-1, 1)
    assert loss(sure_of_unknown, background) < 1e-4
    assert loss(sure_of_known, background) > 20


@pytest.mark.peer
def test_nnunet_s_dice_and_cross_entropy_take_merged_logits_with_an_ignore_label(logits: torch.Tensor) -> None:
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    settings = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    inner = DC_and_CE_loss(settings, {}, ignore_label=4, dice_class=MemoryEfficientSoftDiceLoss)
    loss = PartialLabelLoss(DeepSupervisionWrapper(inner, [0.7, 0.3]))
    loss.known = known_classes([[1], [1, 2, 3]], 4)
    target = torch.randint(0, 2, (2, 1, 3, 4, 5), generator=torch.Generator().manual_seed(1)).float()
    target[:, :, 0] = 4
    logits.requires_grad_()
    value = loss([logits, logits[..., ::2]], [target, target[..., ::2]])
    value.backward()
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(logits.grad).all())
    assert not logits.grad[:, :, 0].any(), "ignored voxels pull at nothing"
