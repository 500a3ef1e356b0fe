from __future__ import annotations

import pytest
import torch

from flare_trt.training.fit.miniature_loss import MiniatureLoss
from flare_trt.training.fit.partial_loss import PartialLabelLoss, known_classes

#: Two patches of (1, 1, 4): background, a class of three voxels, one of a single voxel, and an ignored voxel (label 4).
TARGET = torch.tensor([[0, 0, 1, 1], [1, 2, 4, 0]]).reshape(2, 1, 1, 1, 4)


def logits(labels: torch.Tensor, sure: float) -> torch.Tensor:
    chosen = labels[:, 0].clamp(max=3)
    return sure * torch.nn.functional.one_hot(chosen, 4).movedim(-1, 1).float()


def test_a_perfect_answer_has_the_lowest_loss() -> None:
    assert MiniatureLoss(4)(logits(TARGET, 50.0), TARGET).item() == pytest.approx(-1.0)


def test_the_value_is_that_of_its_formula() -> None:
    output = logits(TARGET, 1.0)
    share = torch.e / (torch.e + 3)  # of the right class, everywhere
    other = 1 / (torch.e + 3)
    dice_of_one = 2 * 3 * share / (3 + 3 * share + 4 * other)
    dice_of_two = 2 * share / (1 + share + 6 * other)
    expected = -torch.log(torch.tensor(share)) - (dice_of_one + dice_of_two) / 2
    assert MiniatureLoss(4)(output, TARGET).item() == pytest.approx(expected.item(), abs=1e-5)


def test_each_class_weighs_as_the_root_of_its_voxels() -> None:
    """A wrong voxel of a class of one weighs as sqrt(3) times a wrong voxel of a class of three does."""
    target = torch.tensor([1, 1, 1, 2]).reshape(1, 1, 1, 1, 4)

    def pull(wrong: int) -> float:
        output = torch.zeros(1, 3, 1, 1, 4, requires_grad=True)
        entropy = MiniatureLoss(9)(output, target)
        entropy.backward()
        assert output.grad is not None
        return float(output.grad[0, 0, 0, 0, wrong])

    assert pull(3) > 1.5 * pull(0) > 0, "background is pushed down harder where the small class is"


def test_ignored_voxels_and_absent_classes_do_not_pull() -> None:
    output = torch.randn(2, 4, 1, 1, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    MiniatureLoss(4)(output, TARGET).backward()
    assert output.grad is not None
    assert (output.grad[1, :, 0, 0, 2] == 0).all()
    absent = torch.full((1, 1, 1, 1, 4), 0)
    only_background = torch.zeros(1, 4, 1, 1, 4, requires_grad=True)
    MiniatureLoss(4)(only_background, absent).backward()
    grad = only_background.grad
    assert grad is not None
    assert torch.allclose(
        grad, torch.autograd.functional.jacobian(lambda x: torch.nn.functional.cross_entropy(x, absent[:, 0]), only_background)
    )


def test_a_class_that_the_case_does_not_vouch_for_makes_no_nan() -> None:
    output = torch.randn(1, 3, 1, 1, 4, requires_grad=True)
    loss = PartialLabelLoss(MiniatureLoss(4))
    loss.known = known_classes([[1]], 3)
    loss(output, torch.tensor([0, 1, 1, 0]).reshape(1, 1, 1, 1, 4)).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_nothing_known_is_no_loss() -> None:
    output = torch.randn(1, 4, 1, 1, 4, requires_grad=True)
    loss = MiniatureLoss(4)(output, torch.full((1, 1, 1, 1, 4), 4))
    loss.backward()
    assert loss.item() == 0
    assert output.grad is not None
    assert not output.grad.any()
