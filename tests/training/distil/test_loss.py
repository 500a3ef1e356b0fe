from __future__ import annotations

import pytest
import torch

from flare_trt.training.distil.loss import distillation_loss, soft_dice_loss


@pytest.fixture
def target() -> torch.Tensor:
    labels = torch.zeros(6, 7, 8, dtype=torch.long)
    labels[1:5, 1:5, 1:4] = 1
    labels[1:5, 1:5, 5:8] = 2
    return torch.nn.functional.one_hot(labels, 3).permute(3, 0, 1, 2).float()


def test_a_perfect_student_has_no_loss_and_a_wrong_one_has(target: torch.Tensor) -> None:
    right, wrong = 40 * target, 40 * target.roll(1, 0)
    assert distillation_loss(right, target, 1.0, 0.3) < 1e-3
    assert distillation_loss(wrong, target, 1.0, 0.3) > 5
    assert distillation_loss(torch.zeros_like(target), target, 1.0, 0.3) > 0.5


def test_soft_targets_are_matched_not_sharpened(target: torch.Tensor) -> None:
    soft = 0.7 * target + 0.1
    exact = distillation_loss(soft.log(), soft, 0.0, 0.0)
    sharp = distillation_loss(40 * target, soft, 0.0, 0.0)
    assert exact < 1e-4
    assert sharp > 1


def test_organs_weigh_as_much_as_the_background(target: torch.Tensor) -> None:
    wide = torch.nn.functional.pad(target, (0, 30, 0, 30, 0, 30))
    wide[0, 6:] = wide[0, :, 7:] = wide[0, :, :, 8:] = 1
    missed = 40 * torch.stack((torch.ones_like(wide[0]), wide[0] * 0, wide[0] * 0))
    assert distillation_loss(missed, wide, 0.0, 0.0) > 10


def test_dice_of_a_patch_without_organs_is_nothing(target: torch.Tensor) -> None:
    background = torch.zeros_like(target)
    background[0] = 1
    assert soft_dice_loss(target, background) == 0
    assert soft_dice_loss(target, target) < 1e-6
