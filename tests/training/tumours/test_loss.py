from __future__ import annotations

import numpy as np
import pytest
import torch

from flare_trt.training.tumours.loss import HARD_WEIGHT, ORGAN_WEIGHT, TUMOUR_WEIGHT, Target, tumour_loss
from flare_trt.training.tumours.recipe import CHANNELS, TUMOUR
from flare_trt.training.tumours.scene import FULL, IGNORED, PARTIAL

VOXELS = 400


def example(seed: int = 0, trust: int = FULL) -> tuple[torch.Tensor, Target]:
    rng = np.random.default_rng(seed)
    classes = np.stack([rng.permutation(CHANNELS)[:3] for _ in range(VOXELS)], 1)
    classes[0] = np.resize([0, 1, 4, TUMOUR], VOXELS)
    classes[1:][classes[1:] == classes[0]] = 13
    shares = np.sort(rng.dirichlet((6, 2, 1), VOXELS), 1)[:, ::-1].T
    logits = torch.from_numpy(rng.normal(0, 1, (CHANNELS, VOXELS)).astype(np.float32)).requires_grad_()
    target = Target(torch.from_numpy(classes), torch.from_numpy(shares.astype(np.float32)), torch.full((VOXELS,), trust))
    return logits, target


def dense_loss(logits: np.ndarray, target: Target) -> float:
    """The same loss written out over all classes, in float64."""
    shares = np.exp(logits) / np.exp(logits).sum(0)
    aim = np.zeros_like(shares)
    for classes, part in zip(target.classes.numpy(), target.shares.numpy(), strict=True):
        aim[classes, np.arange(VOXELS)] += part
    best = target.classes[0].numpy()
    weight = np.where(best == 0, 1.0, np.where(best == TUMOUR, TUMOUR_WEIGHT, ORGAN_WEIGHT))
    entropy = -(aim * np.log(shares)).sum(0) - HARD_WEIGHT * np.log(shares[best, np.arange(VOXELS)])
    dice = dict[int, float]()
    for label in range(1, CHANNELS):
        if aim[label].sum() > 20:
            squares = (target.shares.numpy() ** 2 * (target.classes.numpy() == label)).sum()
            dice[label] = 2 * (shares[label] * aim[label]).sum() / ((shares[label] ** 2).sum() + squares)
    tumour = dice.pop(TUMOUR)
    return float((entropy * weight).sum() / weight.sum() + 1 - (np.mean(list(dice.values())) + tumour) / 2)


def test_the_loss_of_trusted_voxels_is_the_one_written_out() -> None:
    logits, target = example()
    assert float(tumour_loss(logits, target).detach()) == pytest.approx(
        dense_loss(logits.detach().double().numpy(), target), rel=1e-4
    )


def test_the_right_answer_costs_less_than_any_other() -> None:
    _, target = example()
    right = torch.zeros(CHANNELS, VOXELS).scatter_(0, target.classes[:1], 8.0)
    wrong = torch.zeros(CHANNELS, VOXELS).scatter_(0, (target.classes[:1] + 1) % CHANNELS, 8.0)
    assert tumour_loss(right, target) < 0.3 * tumour_loss(wrong, target)


def test_a_tumour_found_in_a_partial_label_is_no_error() -> None:
    _, target = example(trust=PARTIAL)
    organ = torch.zeros(CHANNELS, VOXELS).scatter_(0, target.classes[:1], 12.0)
    tumour = torch.zeros(CHANNELS, VOXELS)
    tumour[TUMOUR] = 12.0
    other = torch.zeros(CHANNELS, VOXELS)
    other[2] = 12.0
    assert float(tumour_loss(tumour, target)) == pytest.approx(float(tumour_loss(organ, target)), abs=1e-3)
    assert float(tumour_loss(other, target)) > 5


def test_ignored_voxels_count_nowhere() -> None:
    logits, target = example()
    target.trust[:100] = IGNORED
    tumour_loss(logits, target).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :100].abs().max()) == 0
    assert float(logits.grad[:, 100:].abs().max()) > 0
