from __future__ import annotations

import numpy as np
import pytest
import torch

from flare_trt.training.tumours.loss import TUMOUR_WEIGHT, tumour_loss

VOXELS = 400


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    share = np.where(rng.random(VOXELS) < 0.3, rng.uniform(0.4, 1, VOXELS), 0)
    logit = rng.normal(0, 2, VOXELS)
    return tuple(torch.from_numpy(values.astype(np.float32)) for values in (logit, share, np.ones(VOXELS)))  # type: ignore[return-value]


def written_out(logit: np.ndarray, share: np.ndarray) -> float:
    """The same loss in float64."""
    found = 1 / (1 + np.exp(-logit))
    weight = 1 + (TUMOUR_WEIGHT - 1) * share
    entropy = -(share * np.log(found) + (1 - share) * np.log(1 - found))
    dice = (2 * (found * share).sum() + 1) / (found.sum() + share.sum() + 1)
    return float((entropy * weight).sum() / weight.sum() + 1 - dice)


def test_the_loss_is_the_one_written_out() -> None:
    logit, share, known = example()
    expected = written_out(logit.double().numpy(), share.double().numpy())
    assert float(tumour_loss(logit, share, known)) == pytest.approx(expected, rel=1e-5)


def test_the_right_answer_costs_less_than_silence_and_than_alarm() -> None:
    _, share, known = example()
    right = torch.where(share > 0.4, 6.0, -6.0)
    silence, alarm = torch.full_like(right, -6.0), torch.full_like(right, 6.0)
    assert tumour_loss(right, share, known) < 0.4 * min(tumour_loss(silence, share, known), tumour_loss(alarm, share, known))


def test_where_an_undrawn_tumour_may_be_neither_answer_is_an_error() -> None:
    logit, share, known = example()
    known[100:] = 0
    logit.requires_grad_()
    tumour_loss(logit, share, known).backward()
    assert logit.grad is not None
    assert float(logit.grad[100:].abs().max()) == 0
    assert float(logit.grad[:100].abs().min()) > 0


def test_without_a_lesion_only_alarms_cost() -> None:
    silence, alarm = torch.full((VOXELS,), -8.0), torch.full((VOXELS,), 2.0)
    nothing, known = torch.zeros(VOXELS), torch.ones(VOXELS)
    assert float(tumour_loss(silence, nothing, known)) < 1e-3
    assert float(tumour_loss(alarm, nothing, known)) == pytest.approx(np.log1p(np.exp(2.0)), rel=1e-5)
    assert float(tumour_loss(alarm, nothing, 0 * known)) == 0
